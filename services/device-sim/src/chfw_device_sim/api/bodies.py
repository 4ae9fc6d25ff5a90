"""What the routes take and give."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field, model_validator

from chfw_common.runtime.http.ids import Eui64, HubText
from chfw_common.runtime.http.shapes import AS_CODE, Shape, Words
from chfw_common.topology import partition_of_hub
from chfw_device_sim.domain.capacity import Capacity
from chfw_device_sim.domain.fate import Span
from chfw_device_sim.domain.image import Radio
from chfw_device_sim.store.device import NewDevice

MOST = 5_000

Text = Annotated[str, Words(60)]
Code = Annotated[str, Words(60), AS_CODE]


class DeviceBody(Shape):
    """A device as it leaves the factory."""

    hub: HubText
    region: Text
    manufacturer: Code
    model: Code
    hardware: Code
    firmware: Code

    def device(self) -> NewDevice:
        """The same, as it is stored."""
        return NewDevice(
            self.hub,
            partition_of_hub(self.hub),
            self.region,
            self.manufacturer,
            self.model,
            self.hardware,
            self.firmware,
        )


class LoadBody(Shape):
    """A load."""

    devices: Annotated[tuple[DeviceBody, ...], Field(min_length=1, max_length=MOST)]

    @model_validator(mode="after")
    def _each_once(self) -> "LoadBody":
        if len({entry.hub for entry in self.devices}) != len(self.devices):
            raise ValueError("a hub is named twice")
        return self


class LoadedBody(Shape):
    """What a load did, counted in devices."""

    new: int
    known: int


class DeviceView(Shape):
    """What a device knows of itself. `activations` counts how often `activated_release` was activated.

    `activate_at` lies in the year 9999 while its activation is set aside (ADR 0050).
    """

    hub: Eui64
    region: str
    manufacturer: str
    model: str
    hardware: str
    firmware: str
    held_firmware: str | None
    counter: int
    armed_release: str | None
    activate_at: datetime | None
    alert_counter: int
    activated_release: str | None
    activated_firmware: str | None
    activated_at: datetime | None
    activations: int


class PageView(Shape):
    """A page of devices; `next` is what to ask `after`, None at the end."""

    devices: tuple[DeviceView, ...]
    next: Eui64 | None


class SpanView(Shape):
    """A duration in seconds, evenly spread between two bounds."""

    min: float
    max: float


class CapacityView(Shape):
    """Deliveries begun per hour, and deliveries at once."""

    per_hour: int
    in_flight: int


class AssumptionsView(Shape):
    """What the simulated fleet is made of. Rates are shares of 1, spans seconds, mappings by region."""

    note: str = "Every rate is an assumption for trying things out; none is a figure of the DCC or of a network."
    edges: tuple[str, ...]
    seed: int
    never_answers: float
    out_of_reach: dict[str, float]
    delivery: dict[str, SpanView]
    delivery_grid_seconds: float
    capacity: dict[str, CapacityView]
    file_transfer_failure: float
    hardware_version_mismatch: float
    firmware_image_discarded: float
    no_image_held: float
    hash_mismatch: float
    activation_failure: float
    lost_alert: float
    late_alert: float
    late: SpanView
    repeated_alert: float
    repeated: SpanView
    slow_restart: float
    restart: SpanView


def assumptions_view(edges: tuple[str, ...], radio: Radio, capacity: Mapping[str, Capacity]) -> AssumptionsView:
    """What is in force."""
    assumed = radio.fate.assumed
    return AssumptionsView(
        edges=edges,
        seed=radio.fate.seed,
        never_answers=assumed.never_answers,
        out_of_reach=dict(assumed.out_of_reach),
        delivery={region: _span(span) for region, span in assumed.delivery.items()},
        delivery_grid_seconds=radio.grid.total_seconds(),
        capacity={
            region: CapacityView(per_hour=entry.per_hour, in_flight=entry.in_flight)
            for region, entry in capacity.items()
        },
        file_transfer_failure=assumed.file_transfer_failure,
        hardware_version_mismatch=assumed.hardware_version_mismatch,
        firmware_image_discarded=assumed.firmware_image_discarded,
        no_image_held=assumed.no_image_held,
        hash_mismatch=assumed.hash_mismatch,
        activation_failure=assumed.activation_failure,
        lost_alert=assumed.lost_alert,
        late_alert=assumed.late_alert,
        late=_span(assumed.late),
        repeated_alert=assumed.repeated_alert,
        repeated=_span(assumed.repeated),
        slow_restart=assumed.slow_restart,
        restart=_span(assumed.restart),
    )


def _span(span: Span) -> SpanView:
    return SpanView(min=span.least.total_seconds(), max=span.most.total_seconds())
