"""Call up: images that wait in a full region begin to travel, in order, when there is room."""

from chfw_common.events.response import ResponseItem
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import Now, TickResult, Tx
from chfw_common.topology import CHUNK
from chfw_device_sim.domain.capacity import Lane, call_up, room
from chfw_device_sim.domain.edge import Refusal
from chfw_device_sim.domain.image import Reception
from chfw_device_sim.stages.network import Network
from chfw_device_sim.stages.say import Said, answer, refused_distribution
from chfw_device_sim.store import fence, image, lane


async def next_due(network: Network, tx: Tx, now: Instant) -> Instant | None:
    """Now, while there is room for one that waits."""
    return None if await _first_with_room(network, tx) is None else now


async def tick(network: Network, tx: Tx, now: Now) -> TickResult:
    """Let up to a chunk of one region begin. What a halt has overtaken meanwhile is refused, as at its arrival."""
    found = await _first_with_room(network, tx)
    if found is None:
        return TickResult()
    capacity = network.capacity[found.region]
    waiting = await image.find_waiting(tx, found.region, min(CHUNK, room(found, capacity)))
    fences = await fence.share(tx, (release_id for _, release_id in waiting), network.edges)
    hubs = await image.lock_receptions(tx, (hub for hub, _ in waiting))
    entry = (await lane.lock(tx, [found.region]))[found.region]
    at = now()
    changed: list[Reception] = []
    given: list[Said[ResponseItem]] = []
    for reception in sorted(hubs.values(), key=lambda known: known.queue_no or 0):
        release_id, epoch = reception.coming_release, reception.coming_epoch
        if reception.queue_no is None or release_id is None or epoch is None or room(entry, capacity) == 0:
            continue
        if epoch < fences.get((release_id, found.region), 0):
            entry = entry._replace(queued=entry.queued - 1)
            changed.append(_given_up(reception))
            refused = refused_distribution(reception.hub, epoch, Refusal.STALE_EPOCH, at)
            given.append(Said(release_id, reception.part, refused))
            continue
        begins, entry = call_up(entry, capacity, at)
        arrives = network.radio.arrival(reception.hub, found.region, release_id, reception.deliveries, begins)
        changed.append(reception._replace(queue_no=None, deliver_at=arrives))
    await image.save_receptions(tx, sorted(changed))
    await lane.save(tx, [entry])
    return TickResult(answer(given), more=bool(changed))


async def _first_with_room(network: Network, tx: Tx) -> Lane | None:
    return next((found for found in await lane.find_queues(tx) if room(found, network.capacity[found.region])), None)


def _given_up(reception: Reception) -> Reception:
    return reception._replace(
        coming_release=None, coming_firmware=None, coming_hash=None, coming_epoch=None, queue_no=None
    )
