"""Deliver: images arrive at hubs, or do not, and leave room for others in their region."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from chfw_common.events.response import ResponseItem, ResponseKind
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.dues import earliest, parts_due
from chfw_common.runtime.service import Now, Outgoing, Pieces, Taken, Tick, Tx, Work, due_tick
from chfw_device_sim.stages.network import Network
from chfw_device_sim.stages.say import Said, answer
from chfw_device_sim.store import image, lane


async def next_due(tx: Tx, _: Instant) -> Instant | None:
    """When the next image arrives."""
    return earliest(await image.dues(tx))


async def take(network: Network, tx: Tx, now: Now, limit: int) -> Taken | None:
    """Let images arrive, from the partition on where one is due first.

    After less than the limit nothing is left: what is due next gathers until the next call.
    """
    parts = parts_due(await image.dues(tx), looked := now())
    if not parts:
        return None
    arrivals = await image.lock_arrivals(tx, parts, looked, limit)
    more = len(arrivals) in (0, limit)
    return Taken([{"hub": arrival.hub} for arrival in arrivals], partial(_arrive, network, tx, arrivals, now), more)


async def put_off(tx: Tx, work: Work, until: Instant) -> None:
    """Let an image arrive at another time."""
    await image.put_off(tx, work["hub"], until)


def tick(network: Network) -> Tick:
    """The tick of this stage."""
    return due_tick("deliver", Pieces(partial(take, network), put_off), next_due)


async def _arrive(network: Network, tx: Tx, arrivals: Sequence[image.Arrival], now: Now) -> list[Outgoing]:
    if not arrivals:
        return []
    at = now()
    given: list[Said[ResponseItem]] = []
    ended = []
    for arrival in arrivals:
        failure = network.radio.fate.delivery(arrival.hub, arrival.release_id, arrival.attempt)
        item = ResponseItem(
            hub=arrival.hub,
            kind=ResponseKind.DELIVERED if failure is None else ResponseKind.DELIVERY_FAILED,
            at=at,
            epoch=arrival.epoch,
            reason=None if failure is None else failure.value,
        )
        given.append(Said(arrival.release_id, arrival.part, item))
        ended.append((arrival.hub, failure is None))
    await image.end_deliveries(tx, ended)
    left = Counter(arrival.region for arrival in arrivals)
    lanes = await lane.lock(tx, left)
    await lane.save(tx, [entry._replace(in_flight=entry.in_flight - left[entry.region]) for entry in lanes.values()])
    return answer(given)
