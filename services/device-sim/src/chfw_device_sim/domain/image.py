"""A hub and an image: waiting for its turn, in transit, held, in doubt."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant, ceil_to_grid
from chfw_device_sim.domain.capacity import Capacity, Lane, Place, admit
from chfw_device_sim.domain.fate import Fate


class Reception(NamedTuple):
    """What a hub knows of images: the one that comes (it travels, or waits in a queue), the one it holds, the tries."""

    hub: HubId
    part: int
    region: str
    coming_release: ReleaseId | None
    coming_firmware: str | None
    coming_hash: str | None
    coming_epoch: int | None
    deliver_at: Instant | None
    queue_no: int | None
    held_hash: str | None
    delivery_release: ReleaseId | None
    deliveries: int


@dataclass(frozen=True, slots=True)
class Sent:
    """An image on its way from an edge to a hub."""

    release_id: ReleaseId
    firmware: str
    image_hash: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Radio:
    """What carries images: chance, and the grid that arrivals are rounded up to, so that they come in full chunks."""

    fate: Fate
    grid: timedelta

    def arrival(self, hub: HubId, region: str, release_id: ReleaseId, attempt: int, begins: Instant) -> Instant:
        """When an image arrives that begins to travel now; on a day without reach it arrives on the next."""
        at = ceil_to_grid(begins + self.fate.delivery_delay(hub, region, release_id, attempt), self.grid)
        heard = self.fate.within_reach(hub, region, at)
        return at if heard is at else ceil_to_grid(heard, self.grid)


class Receipt(StrEnum):
    """What the hub's end of the network makes of an image."""

    HELD = "held"
    COMING = "coming"
    NOTHING = "nothing"


class Received(NamedTuple):
    """What became of an image that was forwarded."""

    receipt: Receipt
    reception: Reception
    lane: Lane


def receive(
    reception: Reception, sent: Sent, radio: Radio, lane: Lane, *, capacity: Capacity, now: Instant
) -> Received:
    """An image was forwarded to a hub: it is held already, it comes, or nothing ever comes of it.

    The same image once more, while it comes, only takes over the newer epoch. Another image takes the place of the one
    that comes, on the air or in the queue.
    """
    if radio.fate.never_answers(reception.hub):
        return Received(Receipt.NOTHING, reception, lane)
    if reception.held_hash == sent.image_hash:
        return Received(Receipt.HELD, reception, lane)
    if (reception.coming_release, reception.coming_hash) == (sent.release_id, sent.image_hash):
        newest = max(sent.epoch, reception.coming_epoch or 0)
        return Received(Receipt.COMING, reception._replace(coming_epoch=newest), lane)
    attempt = reception.deliveries + 1 if reception.delivery_release == sent.release_id else 1
    if reception.coming_release is None:
        place, lane = admit(lane, capacity, now)
    else:
        place = Place(now if reception.queue_no is None else None, reception.queue_no)
    arrives = None
    if place.begins is not None:
        arrives = radio.arrival(reception.hub, reception.region, sent.release_id, attempt, place.begins)
    coming = Reception(
        reception.hub,
        reception.part,
        reception.region,
        sent.release_id,
        sent.firmware,
        sent.image_hash,
        sent.epoch,
        arrives,
        place.queue_no,
        reception.held_hash,
        sent.release_id,
        attempt,
    )
    return Received(Receipt.COMING, coming, lane)
