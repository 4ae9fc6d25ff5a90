"""Receive a distribution: each edge forwards the image to its hubs, or refuses."""

from chfw_common.events.distributed import FirmwareDistributed
from chfw_common.events.response import ResponseItem, ResponseKind
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import Batch, Now, Outcome, Tx
from chfw_device_sim.domain.fate import TransferFailure
from chfw_device_sim.domain.image import Receipt, Reception, Sent, receive
from chfw_device_sim.stages.network import Network
from chfw_device_sim.stages.say import Said, answer, refused_distribution
from chfw_device_sim.store import anomaly, fence, image, lane


async def handle(network: Network, tx: Tx, batch: Batch[FirmwareDistributed], now: Now) -> Outcome:
    """Judge at the edges under their locks and forward in the same transaction."""
    fences = await fence.share(tx, (event.release_id for event in batch.events), network.edges)
    before = await image.lock_receptions(tx, (hub for event in batch.events for hub in event.hubs))
    known = dict(before)
    lanes = await lane.lock(tx, {entry.region for entry in before.values() if entry.region in network.capacity})
    at = now()
    full_before = dict(lanes)
    given: list[Said[ResponseItem]] = []
    odd: list[anomaly.Anomaly] = []
    for message in batch.messages:
        event = message.event
        sent = Sent(event.release_id, event.firmware, event.image_hash, event.epoch)
        passage = network.passage(message, fences, at)
        for hub in event.hubs:
            reception = known.get(hub)
            if reception is None or reception.region not in passage:
                what = anomaly.UNKNOWN_HUB if reception is None else anomaly.NO_EDGE
                odd.append(anomaly.Anomaly(what, hub, event.release_id, 0))
                continue
            item = None
            refused = passage[reception.region]
            if refused is not None:
                item = refused_distribution(hub, event.epoch, refused, at)
            else:
                region = reception.region
                receipt, known[hub], lanes[region] = receive(
                    reception, sent, network.radio, lanes[region], capacity=network.capacity[region], now=at
                )
                given += _discarded(reception, known[hub], at)
                if receipt is Receipt.HELD:
                    item = ResponseItem(hub=hub, kind=ResponseKind.DELIVERED, at=at, epoch=event.epoch)
            if item is not None:
                given.append(Said(event.release_id, reception.part, item))
    await image.save_receptions(tx, [entry for hub, entry in known.items() if entry != before[hub]])
    await lane.save(tx, [entry for region, entry in lanes.items() if entry != full_before[region]])
    await anomaly.record(tx, odd, at)
    return Outcome(answer(given))


def _discarded(before: Reception, after: Reception, now: Instant) -> list[Said[ResponseItem]]:
    """The image of one release has taken the place of that of another, which now never comes: that release is told,
    else it would wait for it."""
    release_id = before.coming_release
    if release_id is None or release_id == after.coming_release:
        return []
    item = ResponseItem(
        hub=before.hub,
        kind=ResponseKind.DELIVERY_FAILED,
        at=now,
        epoch=before.coming_epoch,
        reason=TransferFailure.FIRMWARE_IMAGE_DISCARDED.value,
    )
    return [Said(release_id, before.part, item)]
