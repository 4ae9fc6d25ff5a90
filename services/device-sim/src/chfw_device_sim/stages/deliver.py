"""Deliver: images arrive at hubs, or do not, and leave room for others in their region."""

from collections import Counter

from chfw_common.events.response import ResponseItem, ResponseKind
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.dues import earliest, parts_due
from chfw_common.runtime.service import Now, TickResult, Tx
from chfw_common.topology import CHUNK
from chfw_device_sim.stages.network import Network
from chfw_device_sim.stages.say import Said, answer
from chfw_device_sim.store import image, lane


async def next_due(tx: Tx, _: Instant) -> Instant | None:
    """When the next image arrives."""
    return earliest(await image.dues(tx))


async def tick(network: Network, tx: Tx, now: Now) -> TickResult:
    """Let up to a chunk of images arrive, from the partition on where one is due first.

    After less than a chunk nothing is left: what is due next gathers until the next call.
    """
    parts = parts_due(await image.dues(tx), looked := now())
    arrivals = await image.lock_arrivals(tx, parts, looked) if parts else []
    if not arrivals:
        return TickResult(more=bool(parts))
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
    return TickResult(answer(given), more=len(arrivals) == CHUNK)
