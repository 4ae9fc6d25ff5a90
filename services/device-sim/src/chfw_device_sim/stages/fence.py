"""Fence: edges learn of releases, and obey a halt before they say that they do (ARCHITECTURE section 6)."""

from collections.abc import Mapping, Sequence

from chfw_common.events.decision import RolloutDecision
from chfw_common.events.fenced import RolloutFenced
from chfw_common.events.release import ReleaseNotified
from chfw_common.kernel.ids import ReleaseId
from chfw_common.runtime.lines import Break
from chfw_common.runtime.service import Batch, Now, Outcome, Outgoing, Tx, release_event
from chfw_common.topology import ROLLOUT_FENCED
from chfw_device_sim.stages.network import Network
from chfw_device_sim.store import fence


async def handle_decisions(network: Network, tx: Tx, batch: Batch[RolloutDecision], now: Now) -> Outcome:
    """Raise the fences of every edge and acknowledge. A repeat is acknowledged again: the first may have been lost."""
    least: dict[ReleaseId, int] = {}
    for event in batch.events:
        least[event.release_id] = max(event.min_epoch, least.get(event.release_id, 0))
    return Outcome(await _obey(network, tx, least, now))


async def stand_still(
    network: Network, tx: Tx, batch: Batch[RolloutDecision], breaks: Sequence[Break], now: Now
) -> list[Outgoing]:
    """A decision is out of line: nothing that was sent under the decisions known passes any more. The next decision in
    line may let messages of its own pass."""
    least: dict[ReleaseId, int] = {}
    for one in breaks:
        least[one.release_id] = max(one.due, least.get(one.release_id, 0))
    await fence.close(tx, {event.release_id for event in batch.events}, network.edges)
    return await _obey(network, tx, least, now)


async def _obey(network: Network, tx: Tx, least: Mapping[ReleaseId, int], now: Now) -> list[Outgoing]:
    """Raise the fences of every edge, and say so."""
    await fence.close(tx, least, network.edges)
    at = now()
    await fence.put_up(tx, least, network.edges, at)
    fences = await fence.find(tx, sorted(least))
    return [
        release_event(
            ROLLOUT_FENCED,
            release_id,
            RolloutFenced(release_id=release_id, edge=edge, min_epoch=fences[release_id, edge], fenced_at=at),
        )
        for release_id in least
        for edge in network.edges
    ]


async def handle_releases(network: Network, tx: Tx, batch: Batch[ReleaseNotified], _: Now) -> Outcome:
    """Know the releases that may come, so that their fences can be seen."""
    await fence.know(tx, (event.release_id for event in batch.events), network.edges)
    return Outcome()
