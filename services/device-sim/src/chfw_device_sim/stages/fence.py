"""Fence: edges learn of releases, and obey a halt before they say that they do (ARCHITECTURE section 6)."""

from chfw_common.events.decision import RolloutDecision
from chfw_common.events.fenced import RolloutFenced
from chfw_common.events.release import ReleaseNotified
from chfw_common.kernel.ids import ReleaseId
from chfw_common.runtime.service import Batch, Now, Outcome, Tx, release_event
from chfw_common.topology import ROLLOUT_FENCED
from chfw_device_sim.stages.network import Network
from chfw_device_sim.store import fence


async def handle_decisions(network: Network, tx: Tx, batch: Batch[RolloutDecision], now: Now) -> Outcome:
    """Raise the fences of every edge and acknowledge. A repeat is acknowledged again: the first may have been lost."""
    least: dict[ReleaseId, int] = {}
    for event in batch.events:
        least[event.release_id] = max(event.min_epoch, least.get(event.release_id, 0))
    await fence.close(tx, least, network.edges)
    at = now()
    await fence.put_up(tx, least, network.edges, at)
    fences = await fence.find(tx, sorted(least))
    return Outcome(
        [
            release_event(
                ROLLOUT_FENCED,
                release_id,
                RolloutFenced(release_id=release_id, edge=edge, min_epoch=fences[release_id, edge], fenced_at=at),
            )
            for release_id in least
            for edge in network.edges
        ]
    )


async def handle_releases(network: Network, tx: Tx, batch: Batch[ReleaseNotified], _: Now) -> Outcome:
    """Know the releases that may come, so that their fences can be seen."""
    await fence.know(tx, (event.release_id for event in batch.events), network.edges)
    return Outcome()
