"""The composition of the simulated network."""

from collections.abc import Callable
from functools import partial

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.service import Consume, Service, Source, Tick
from chfw_common.topology import FIRMWARE_DISTRIBUTED, HUB_COMMAND, RELEASE_NOTIFIED, ROLLOUT_DECISION
from chfw_device_sim.api.routes import routes
from chfw_device_sim.domain.fate import Assumptions, Fate
from chfw_device_sim.settings import Settings
from chfw_device_sim.stages import activate, deliver, fence, receive_command, receive_distribution
from chfw_device_sim.stages.network import Network


def network_of(settings: Settings, machine_now: Callable[[], Instant]) -> Network:
    """The network that the settings describe."""
    assumed = Assumptions(
        never_answers=settings.rate_never_answers,
        delivery_failure=settings.rate_delivery_failure,
        no_image_held=settings.rate_no_image_held,
        hash_mismatch=settings.rate_hash_mismatch,
        activation_failure=settings.rate_activation_failure,
        lost_alert=settings.rate_lost_alert,
        delivery_min=settings.delivery_min,
        delivery_max=settings.delivery_max,
    )
    return Network(settings.edges, settings.max_skew, Fate(settings.fleet_seed, assumed), machine_now)


def build(settings: Settings, machine_now: Callable[[], Instant] = machine_now) -> Service:
    """The service as data."""
    network = network_of(settings, machine_now)
    return Service(
        name="device-sim",
        consumes={
            RELEASE_NOTIFIED: Consume(partial(fence.handle_releases, network)),
            ROLLOUT_DECISION: Consume(partial(fence.handle_decisions, network), source=Source.CONTROL),
            FIRMWARE_DISTRIBUTED: Consume(partial(receive_distribution.handle, network)),
            HUB_COMMAND: Consume(partial(receive_command.handle, network)),
        },
        ticks=[
            Tick("deliver", partial(deliver.tick, network), deliver.next_due),
            Tick("activate", partial(activate.tick, network), activate.next_due),
        ],
        routes=[routes(network)],
    )
