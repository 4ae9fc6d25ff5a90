"""Counts of hubs, kept with the rows they count: whoever needs totals reads a few rows and never the ledger."""

from collections.abc import Mapping
from typing import NamedTuple

from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import HubState
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_scheduler.domain.totals import Totals, totals_of

SQL = load_queries("chfw_scheduler.store", "counts.sql")


class Standing(NamedTuple):
    """How a release stands: what was told last and when, the epoch of the last halt, and the totals now.

    `put_off_until`: nothing is told by itself before then.
    """

    release_id: ReleaseId
    told: Totals
    told_at: Instant
    min_epoch: int
    found: Totals
    put_off_until: Instant | None = None


class Miscount(NamedTuple):
    """A key of a partition whose count is not the number of rows in the ledger."""

    release_id: ReleaseId
    part: int
    key: str
    counted: int
    rows: int


async def add(tx: Tx, release_id: ReleaseId, deltas: Mapping[int, Mapping[str, int]]) -> None:
    """Add to the counts of partitions. Called after the rows are written: the lock order has counts behind rows."""
    if deltas:
        parts = sorted(deltas)
        await tx.execute(SQL["add"], release_id, parts, [deltas[part] for part in parts])


async def begin_telling(tx: Tx, release_id: ReleaseId, now: Instant) -> None:
    """Totals of the release are told from now on; does nothing when they are already."""
    await tx.execute(SQL["begin_telling"], release_id, now)


async def read(tx: Tx, release_id: ReleaseId | None = None) -> list[Standing]:
    """How a release stands, or all of them. Nothing of the ledger is read."""
    return [
        Standing(
            ReleaseId(row["release_id"]),
            Totals({HubState(state): n for state, n in row["totals"].items()}, row["at_risk"]),
            row["at"],
            row["min_epoch"],
            totals_of(row["counts"], row["min_epoch"]),
            row["put_off_until"],
        )
        for row in await tx.fetch(SQL["read"], release_id)
    ]


async def lock(tx: Tx, release_id: ReleaseId) -> Standing:
    """How a release stands, locked until the transaction ends, so that what is told later is no older.

    Raises LookupError when telling has not begun.
    """
    await tx.execute(SQL["lock_told"], release_id)
    for standing in await read(tx, release_id):
        return standing
    raise LookupError(f"nothing is told of {release_id}")


async def note_told(tx: Tx, release_id: ReleaseId, totals: Totals, now: Instant) -> None:
    """Note what has just been told."""
    hubs = {state.value: n for state, n in totals.hubs.items()}
    await tx.execute(SQL["note_told"], release_id, now, hubs, totals.at_risk)


async def put_off(tx: Tx, release_id: ReleaseId, until: Instant) -> None:
    """Let nothing be told of a release by itself before an instant."""
    await tx.execute(SQL["put_off"], release_id, until)


async def states(tx: Tx) -> dict[tuple[str, HubState], int]:
    """Hubs of every release by state."""
    found: dict[tuple[str, HubState], int] = {}
    for row in await tx.fetch(SQL["states"]):
        key = (row["release_id"], HubState(row["key"].partition(":")[0]))
        found[key] = found.get(key, 0) + row["n"]
    return found


async def miscounts(tx: Tx) -> list[Miscount]:
    """Where counts are not the number of rows; nothing when all is well. It reads the whole ledger."""
    return [Miscount(*row) for row in await tx.fetch(SQL["miscounts"])]
