"""What the routes take and give."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints, model_validator

from chfw_common.events.base import HubRef, UtcInstant
from chfw_common.kernel.ids import HubId, hub_eui64
from chfw_common.topology import partition_of_hub
from chfw_device_sim.store.device import NewDevice

MOST = 5_000

Text = Annotated[str, StringConstraints(min_length=1, max_length=60)]
Eui64 = Annotated[HubId, PlainSerializer(hub_eui64, when_used="json")]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DeviceBody(_Body):
    """A device as it leaves the factory."""

    hub: HubRef
    region: Text
    manufacturer: Text
    model: Text
    hardware: Text
    firmware: Text

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


class LoadBody(_Body):
    """A load."""

    devices: Annotated[tuple[DeviceBody, ...], Field(min_length=1, max_length=MOST)]

    @model_validator(mode="after")
    def _each_once(self) -> "LoadBody":
        if len({entry.hub for entry in self.devices}) != len(self.devices):
            raise ValueError("a hub is named twice")
        return self


class LoadedBody(_Body):
    """What a load did, counted in devices."""

    new: int
    known: int


class DeviceView(_Body):
    """What a device knows of itself. `activations` counts how often `activated_release` was activated."""

    hub: Eui64
    region: str
    manufacturer: str
    model: str
    hardware: str
    firmware: str
    held_firmware: str | None
    counter: int
    armed_release: str | None
    activate_at: UtcInstant | None
    alert_counter: int
    activated_release: str | None
    activated_firmware: str | None
    activated_at: UtcInstant | None
    activations: int


class PageView(_Body):
    """A page of devices; `next` is what to ask `after`, None at the end."""

    devices: tuple[DeviceView, ...]
    next: Eui64 | None


class AssumptionsView(_Body):
    """What the simulated fleet is made of. Rates are shares of 1, durations ISO 8601."""

    note: str = "Every rate is an assumption for trying things out; none is a figure of the DCC or of a network."
    edges: tuple[str, ...]
    seed: int
    never_answers: float
    delivery_failure: float
    no_image_held: float
    hash_mismatch: float
    activation_failure: float
    lost_alert: float
    delivery_min_seconds: float
    delivery_max_seconds: float
