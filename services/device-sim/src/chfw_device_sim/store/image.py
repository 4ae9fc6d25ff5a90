"""Images that travel to hubs and arrive."""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.columns import columns
from chfw_common.runtime.dues import PartDue
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_common.runtime.updates import kinds_of, named, update_rows
from chfw_common.topology import HUB_PARTITIONS
from chfw_device_sim.domain.image import Reception

_SQL = load_queries("chfw_device_sim.store", "image.sql")
_RECEPTION = kinds_of(
    "hub:bigint coming_release:text coming_firmware:text coming_hash:text coming_epoch:bigint deliver_at:timestamptz"
    " queue_no:bigint delivery_release:text deliveries:int"
)
_SAVED = attrgetter(*(name for name, _ in _RECEPTION))


class Arrival(NamedTuple):
    """An image that arrives, or fails to."""

    hub: HubId
    part: int
    region: str
    release_id: ReleaseId
    epoch: int
    attempt: int


async def lock_receptions(tx: Tx, hubs: Iterable[HubId]) -> dict[HubId, Reception]:
    """What the known ones of these hubs know of images."""
    rows = await tx.fetch(_SQL["lock_receptions"], sorted(set(hubs)))
    return {row[0]: Reception._make(row) for row in rows}


async def save_receptions(tx: Tx, receptions: Sequence[Reception]) -> None:
    """Write which images travel or wait."""
    if receptions:
        hub, *changed = named(_RECEPTION, map(_SAVED, receptions))
        await update_rows(tx, "device", [hub], changed)


async def find_waiting(tx: Tx, region: str, limit: int) -> list[tuple[HubId, ReleaseId]]:
    """The first in the queue of a region, in order, and what they wait for. Nothing is locked."""
    return [(row[0], row[1]) for row in await tx.fetch(_SQL["find_waiting"], region, limit)]


async def dues(tx: Tx) -> list[PartDue]:
    """When the earliest arrival of each partition is due, the earliest first."""
    return [PartDue._make(row) for row in await tx.fetch(_SQL["deliveries_due"], HUB_PARTITIONS)]


async def lock_arrivals(tx: Tx, parts: Sequence[int], now: Instant, limit: int) -> list[Arrival]:
    """What arrives in these partitions, one after the other, up to the limit."""
    rows = await tx.fetch(_SQL["lock_deliveries"], parts, now, limit)
    return [Arrival._make(due) for *due, at in rows if at is not None and at <= now]


async def end_deliveries(tx: Tx, ended: Sequence[tuple[HubId, bool]]) -> None:
    """Images that arrived are held, the others gone."""
    await tx.execute(_SQL["end_deliveries"], *columns(ended))


async def leave_queue(tx: Tx, hub: HubId, until: Instant) -> None:
    """Take a hub out of the queue of its region: it counts as one whose image travels, and arrives then."""
    await tx.execute(_SQL["leave_queue"], hub, until)


async def queue_again(tx: Tx, hub: HubId, since: Instant) -> None:
    """Put a hub that was taken out so at the end of the queue."""
    await tx.execute(_SQL["queue_again"], hub, since)


async def put_off(tx: Tx, hub: HubId, until: Instant) -> None:
    """Let the image that travels to a hub arrive at another time."""
    await tx.execute(_SQL["put_off_delivery"], hub, until)
