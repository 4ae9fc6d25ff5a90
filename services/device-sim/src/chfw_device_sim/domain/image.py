"""A hub and an image: in transit, held, in doubt."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_device_sim.domain.fate import Fate


class Reception(NamedTuple):
    """What a hub knows of images: the one that travels to it, the one it holds, and how often one was tried."""

    hub: HubId
    part: int
    region: str
    coming_release: ReleaseId | None
    coming_firmware: str | None
    coming_hash: str | None
    coming_epoch: int | None
    deliver_at: Instant | None
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


class Receipt(StrEnum):
    """What the hub's end of the network makes of an image."""

    HELD = "held"
    COMING = "coming"
    NOTHING = "nothing"


def receive(reception: Reception, sent: Sent, fate: Fate, now: Instant) -> tuple[Receipt, Reception]:
    """An image was forwarded to a hub: it is held already, it travels, or nothing ever comes of it.

    The same image once more, while it travels, only takes over the newer epoch. Another image takes the place of the
    one that travels.
    """
    if fate.never_answers(reception.hub):
        return Receipt.NOTHING, reception
    if reception.held_hash == sent.image_hash:
        return Receipt.HELD, reception
    if (reception.coming_release, reception.coming_hash) == (sent.release_id, sent.image_hash):
        newest = max(sent.epoch, reception.coming_epoch or 0)
        return Receipt.COMING, reception._replace(coming_epoch=newest)
    attempt = reception.deliveries + 1 if reception.delivery_release == sent.release_id else 1
    delay = fate.delivery_delay(reception.hub, sent.release_id, attempt)
    return Receipt.COMING, reception._replace(
        coming_release=sent.release_id,
        coming_firmware=sent.firmware,
        coming_hash=sent.image_hash,
        coming_epoch=sent.epoch,
        deliver_at=now + delay,
        delivery_release=sent.release_id,
        deliveries=attempt,
    )
