"""The network as the stages know it: its edges, what is behind them, the time of the machine; and who may pass."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from chfw_common.events.command import HubCancel, HubCommand
from chfw_common.events.distributed import FirmwareDistributed
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import Received
from chfw_device_sim.domain.capacity import Capacity
from chfw_device_sim.domain.edge import Permit, Refusal, is_skewed, refusal
from chfw_device_sim.domain.image import Radio
from chfw_device_sim.store.fence import Fences


@dataclass(frozen=True, slots=True)
class Network:
    """One edge per region, what it can carry, and what is behind it."""

    edges: tuple[str, ...]
    max_skew: timedelta
    capacity: Mapping[str, Capacity]
    radio: Radio
    machine_now: Callable[[], Instant]

    def passage(
        self, message: Received[HubCommand | HubCancel] | Received[FirmwareDistributed], fences: Fences, now: Instant
    ) -> dict[str, Refusal | None]:
        """What each edge says to a message: why it refuses, or None. A region without an edge is not in it.

        A cancel always passes. It takes back no CS06 but those up to its counter, however late or early it comes.
        """
        event = message.event
        if isinstance(event, HubCancel):
            return dict.fromkeys(self.edges)
        permit = Permit(event.epoch, event.not_before, event.permit_until)
        skewed = is_skewed(message.sent_at, self.machine_now(), self.max_skew)
        return {
            edge: refusal(permit, fences.get((event.release_id, edge), 0), now, max_skew=self.max_skew, skewed=skewed)
            for edge in self.edges
        }
