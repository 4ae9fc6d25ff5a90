"""How full the regions are. In the lock order their rows come after those of hubs."""

from collections.abc import Iterable, Sequence

from chfw_common.runtime.columns import columns
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_device_sim.domain.capacity import Lane

_SQL = load_queries("chfw_device_sim.store", "lane.sql")


async def lock(tx: Tx, regions: Iterable[str]) -> dict[str, Lane]:
    """The lanes of these regions, locked in order; those that are used for the first time are made."""
    wanted = sorted(set(regions))
    rows = await tx.fetch(_SQL["lock_lanes"], wanted)
    if len(rows) < len(wanted):
        await tx.execute(_SQL["make_lanes"], wanted)
        rows = await tx.fetch(_SQL["lock_lanes"], wanted)
    return {row[0]: Lane._make(row) for row in rows}


async def find_queues(tx: Tx) -> list[Lane]:
    """The lanes where deliveries wait."""
    return [Lane._make(row) for row in await tx.fetch(_SQL["find_queues"])]


async def save(tx: Tx, lanes: Sequence[Lane]) -> None:
    """Write lanes that have changed."""
    if lanes:
        await tx.execute(_SQL["save_lanes"], *columns(lanes))
