"""Call up: images that wait in a full region begin to travel, in order, when there is room."""

from collections.abc import Sequence
from functools import partial

from chfw_common.events.response import ResponseItem
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.pieces import FAR
from chfw_common.runtime.service import Now, Outgoing, Pieces, Taken, Tick, Tx, Work, due_tick
from chfw_device_sim.domain.capacity import Lane, call_up, room
from chfw_device_sim.domain.edge import Refusal
from chfw_device_sim.domain.image import Reception
from chfw_device_sim.stages.network import Network
from chfw_device_sim.stages.say import Said, answer, refused_distribution
from chfw_device_sim.store import fence, image, lane


async def next_due(network: Network, tx: Tx, now: Instant) -> Instant | None:
    """Now, while there is room for one that waits."""
    return None if await _first_with_room(network, tx) is None else now


async def take(network: Network, tx: Tx, now: Now, limit: int) -> Taken | None:
    """Take the first that wait in one region, as far as there is room for them."""
    found = await _first_with_room(network, tx)
    if found is None:
        return None
    waiting = await image.find_waiting(tx, found.region, min(limit, room(found, network.capacity[found.region])))
    fences = await fence.share(tx, (release_id for _, release_id in waiting), network.edges)
    hubs = await image.lock_receptions(tx, (hub for hub, _ in waiting))
    # Who was waited for may have called some of them up, or given them another image.
    queued = [known for known in hubs.values() if known.queue_no is not None]
    queued.sort(key=lambda known: known.queue_no or 0)
    entry = (await lane.lock(tx, [found.region]))[found.region]
    act = partial(_call_up, network, tx, queued, entry, fences, now)
    return Taken([{"hub": known.hub} for known in queued], act, more=bool(queued))


async def put_off(tx: Tx, work: Work, until: Instant) -> None:
    """Take a hub out of its queue as if its image arrived then; one that is to be tried now waits at the end again."""
    if until == FAR:
        await image.leave_queue(tx, work["hub"], FAR)
    else:
        await image.queue_again(tx, work["hub"], FAR)


def tick(network: Network) -> Tick:
    """The tick of this stage."""
    return due_tick("call_up", Pieces(partial(take, network), put_off), partial(next_due, network))


async def _call_up(
    network: Network, tx: Tx, queued: Sequence[Reception], entry: Lane, fences: fence.Fences, now: Now
) -> list[Outgoing]:
    """Let them begin, in order. What a halt has overtaken meanwhile is refused, as at its arrival."""
    capacity = network.capacity[entry.region]
    at = now()
    changed: list[Reception] = []
    given: list[Said[ResponseItem]] = []
    for reception in queued:
        release_id, epoch = reception.coming_release, reception.coming_epoch
        if release_id is None or epoch is None or room(entry, capacity) == 0:
            continue
        if epoch < fences.get((release_id, entry.region), 0):
            entry = entry._replace(queued=entry.queued - 1)
            changed.append(_given_up(reception))
            refused = refused_distribution(reception.hub, epoch, Refusal.STALE_EPOCH, at)
            given.append(Said(release_id, reception.part, refused))
            continue
        begins, entry = call_up(entry, capacity, at)
        arrives = network.radio.arrival(reception.hub, entry.region, release_id, reception.deliveries, begins)
        changed.append(reception._replace(queue_no=None, deliver_at=arrives))
    await image.save_receptions(tx, sorted(changed))
    await lane.save(tx, [entry])
    return answer(given)


async def _first_with_room(network: Network, tx: Tx) -> Lane | None:
    """A region that has lost its edge has no capacity any more: what waits there stops no other region."""
    return next(
        (
            found
            for found in await lane.find_queues(tx)
            if found.region in network.capacity and room(found, network.capacity[found.region])
        ),
        None,
    )


def _given_up(reception: Reception) -> Reception:
    return reception._replace(
        coming_release=None, coming_firmware=None, coming_hash=None, coming_epoch=None, queue_no=None
    )
