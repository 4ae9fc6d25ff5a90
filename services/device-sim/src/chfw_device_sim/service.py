"""The composition of the simulated network."""

from collections.abc import Callable
from functools import partial

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.lines import in_line
from chfw_common.runtime.service import Consume, Service, Source
from chfw_common.topology import FIRMWARE_DISTRIBUTED, HUB_CANCEL, HUB_COMMAND, RELEASE_NOTIFIED, ROLLOUT_DECISION
from chfw_device_sim.api.routes import routes
from chfw_device_sim.domain.capacity import Capacity
from chfw_device_sim.domain.fate import Assumptions, Fate, Span
from chfw_device_sim.domain.image import Radio
from chfw_device_sim.settings import Between, Settings
from chfw_device_sim.stages import activate, call_up, deliver, fence, hear, receive_command, receive_distribution
from chfw_device_sim.stages.network import Network


def network_of(settings: Settings, machine_now: Callable[[], Instant]) -> Network:
    """The network that the settings describe."""
    assumed = Assumptions(
        never_answers=settings.rate_never_answers,
        out_of_reach=settings.rate_out_of_reach,
        delivery={region: _span(time) for region, time in settings.delivery_times.items()},
        file_transfer_failure=settings.rate_file_transfer_failure,
        hardware_version_mismatch=settings.rate_hardware_version_mismatch,
        firmware_image_discarded=settings.rate_firmware_image_discarded,
        no_image_held=settings.rate_no_image_held,
        hash_mismatch=settings.rate_hash_mismatch,
        activation_failure=settings.rate_activation_failure,
        lost_alert=settings.rate_lost_alert,
        late_alert=settings.rate_late_alert,
        late=_span(settings.late_alert),
        repeated_alert=settings.rate_repeated_alert,
        repeated=_span(settings.repeated_alert),
        slow_restart=settings.rate_slow_restart,
        restart=_span(settings.slow_restart),
    )
    capacity = {region: Capacity(entry.per_hour, entry.in_flight) for region, entry in settings.region_capacity.items()}
    radio = Radio(Fate(settings.fleet_seed, assumed), settings.delivery_grid)
    return Network(settings.edges, settings.max_skew, capacity, radio, machine_now)


def _span(between: Between) -> Span:
    return Span(between.min, between.max)


def build(settings: Settings, machine_now: Callable[[], Instant] = machine_now) -> Service:
    """The service as data."""
    network = network_of(settings, machine_now)
    return Service(
        name="device-sim",
        consumes={
            RELEASE_NOTIFIED: Consume(partial(fence.handle_releases, network)),
            ROLLOUT_DECISION: Consume(
                in_line(partial(fence.handle_decisions, network), partial(fence.stand_still, network)),
                source=Source.CONTROL,
            ),
            FIRMWARE_DISTRIBUTED: Consume(partial(receive_distribution.handle, network)),
            HUB_COMMAND: Consume(partial(receive_command.handle, network)),
            HUB_CANCEL: Consume(partial(receive_command.handle, network), source=Source.CONTROL),
        },
        ticks=[
            deliver.tick(network),
            call_up.tick(network),
            activate.tick(network),
            hear.tick(),
        ],
        routes=[routes(network)],
    )
