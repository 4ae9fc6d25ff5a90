"""Deliver: images arrive at hubs, or do not."""

from chfw_common.events.response import ResponseItem, ResponseKind
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import TickResult, Tx
from chfw_device_sim.stages.answer import Given, answer
from chfw_device_sim.stages.network import Network
from chfw_device_sim.store import image

TRANSFER_FAILED = "FileTransferFailure"
"""TransferResponseCode of DUIS."""


async def next_due(tx: Tx, _: Instant) -> Instant | None:
    """When the next image arrives."""
    earliest = await image.next_due(tx)
    return None if earliest is None else earliest[1]


async def tick(network: Network, tx: Tx, now: Instant) -> TickResult:
    """Let up to a chunk of images arrive, all in the partition where one is due first."""
    earliest = await image.next_due(tx)
    if earliest is None or earliest[1] > now:
        return TickResult()
    arrivals = await image.lock_arrivals(tx, earliest[0], now)
    if not arrivals:
        return TickResult(more=True)
    given: list[Given] = []
    ended = []
    for arrival in arrivals:
        failed = network.fate.delivery_fails(arrival.hub, arrival.release_id, arrival.attempt)
        item = ResponseItem(
            hub=arrival.hub,
            kind=ResponseKind.DELIVERY_FAILED if failed else ResponseKind.DELIVERED,
            at=now,
            epoch=arrival.epoch,
            reason=TRANSFER_FAILED if failed else None,
        )
        given.append(Given(arrival.release_id, arrival.part, item))
        ended.append((arrival.hub, not failed))
    await image.end_deliveries(tx, ended)
    return TickResult(answer(given), more=True)
