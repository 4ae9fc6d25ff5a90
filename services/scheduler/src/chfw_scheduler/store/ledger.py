"""The ledger: rows as facts, loaded under lock; what changed is written back.

Statements stand in ledger.sql, but for the two that write: the columns they name come from the table in rows.py, and on
an update from what changed.
"""

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter, is_
from typing import Any, TypeAlias

from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import FINAL_STATES, HubState
from chfw_common.runtime.columns import columns
from chfw_common.runtime.dues import PartDue
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx, Work
from chfw_common.runtime.updates import Column, update_rows
from chfw_scheduler.domain.facts import Facts, Row, Shown
from chfw_scheduler.domain.totals import moved, opened
from chfw_scheduler.store import counts
from chfw_scheduler.store.rows import GROUPS, NAMES, PIECES, VALUES, Piece, all_values, rows_of

SQL = load_queries("chfw_scheduler.store", "ledger.sql")
_FIRST = (-1, 0)
"""A place before every row: partitions begin at 0."""
_LAST = (32_767, (1 << 63) - 1)
"""A place behind every row."""
PAGE = 10_000
"""A step of a job looks at no more rows, even if it takes few of them: the step is short whatever their states are."""


Place: TypeAlias = tuple[int, int]
"""Where a job stands in a release: the partition and the hub of the last row it has seen."""


async def lock_rows(
    tx: Tx, release_id: ReleaseId, part: int, hubs: Sequence[HubId], *, wait: bool = True
) -> dict[HubId, Row]:
    """The rows of hubs of one partition, locked in the order of hub ids.

    `wait=False` is for a transaction that has written counts: a row that another holds raises an error of Postgres that
    means "try again", since the other may be waiting for the counts.
    """
    rows = await tx.fetch(SQL["lock_rows" if wait else "lock_rows_nowait"], release_id, part, list(hubs))
    return {row.facts.hub: row for row in rows_of(rows)}


async def lock_claimable(
    tx: Tx, release_id: ReleaseId, parts: Sequence[int], now: Instant, *, pilot_only: bool, limit: int
) -> list[Row]:
    """Rows whose claim is due, of one partition after the other up to the limit; those that others hold are passed
    over."""
    return await _lock_due(
        tx, "lock_claimable_pilot" if pilot_only else "lock_claimable", release_id, parts, now, limit
    )


async def lock_checkable(tx: Tx, release_id: ReleaseId, parts: Sequence[int], now: Instant, *, limit: int) -> list[Row]:
    """Rows for which time has become a fact, as for a claim."""
    return await _lock_due(tx, "lock_checkable", release_id, parts, now, limit)


def named(release_id: ReleaseId, rows: Sequence[Row]) -> list[Work]:
    """What each of these rows is found by."""
    return [{"release_id": release_id, "part": row.facts.part, "hub": row.facts.hub} for row in rows]


async def put_off(tx: Tx, statement: str, work: Work, until: Instant) -> None:
    """Let a row be due at another time."""
    await tx.execute(SQL[statement], work["release_id"], work["part"], work["hub"], until)


async def _lock_due(
    tx: Tx, statement: str, release_id: ReleaseId, parts: Sequence[int], now: Instant, limit: int
) -> list[Row]:
    """A statement a partition: one over several would compare every hub with every partition, up to Postgres 16."""
    rows: list[Row] = []
    for part in parts:
        rows += rows_of(await tx.fetch(SQL[statement], release_id, part, now, limit - len(rows)))
        if len(rows) >= limit:
            break
    return rows


async def lock_after(
    tx: Tx, release_id: ReleaseId, after: Place | None, *, limit: int, page: int = PAGE
) -> tuple[list[Row], Place | None]:
    """The next rows of a release by (part, hub) that a notice or a decision may move, and the place to go on from; None
    at the end.

    At most `page` rows are looked at, so there may be fewer than `limit`, or none, before the end.
    """
    begin = after or _FIRST
    found = await tx.fetchrow(SQL["page_end"], release_id, *begin, page - 1)
    end = _LAST if found is None else (found["part"], found["hub"])
    finals = sorted(FINAL_STATES - {HubState.SUPERSEDED})
    rows = rows_of(await tx.fetch(SQL["lock_between"], release_id, *begin, *end, finals, limit))
    if len(rows) == limit:
        return rows, (rows[-1].facts.part, rows[-1].facts.hub)
    return rows, None if found is None else end


async def lock_may_fire(
    tx: Tx, release_id: ReleaseId, after: Place | None, *, before_epoch: int, limit: int
) -> list[Row]:
    """The next rows of a release by (part, hub) whose CS06 is older than an epoch and may fire."""
    rows = await tx.fetch(SQL["lock_may_fire"], release_id, *(after or _FIRST), before_epoch, limit)
    return rows_of(rows)


async def claims_due(tx: Tx, release_id: ReleaseId, partitions: int, *, pilot_only: bool) -> list[PartDue]:
    """When the earliest claim of each partition is due, the earliest first; partitions without one are left out."""
    statement = SQL["claims_due_pilot" if pilot_only else "claims_due"]
    return [PartDue._make(row) for row in await tx.fetch(statement, release_id, partitions)]


async def checks_due(tx: Tx, release_id: ReleaseId, partitions: int) -> list[PartDue]:
    """When the earliest check of each partition is due, likewise."""
    return [PartDue._make(row) for row in await tx.fetch(SQL["checks_due"], release_id, partitions)]


async def enrol(tx: Tx, release_id: ReleaseId, rows: Sequence[tuple[Facts, Shown]]) -> set[HubId]:
    """Insert rows that do not exist yet and count them; gives the hubs that are new. Raises nothing for those that
    exist."""
    if not rows:
        return set()
    names = ["part", "hub", *NAMES]
    types = ["smallint", "bigint", *(kind for piece in PIECES for kind in piece.types)]
    arrays = ", ".join(f"${i + 2}::{kind}[]" for i, kind in enumerate(types))
    new = await tx.fetch(
        f"""insert into ledger (release_id, version, {", ".join(names)})
            select $1, 1, {", ".join(f"u.{name}" for name in names)}
            from unnest({arrays}) u({", ".join(names)}) order by u.part, u.hub
            on conflict do nothing returning hub""",
        release_id,
        *columns(all_values(facts, shown) for facts, shown in rows),
    )
    hubs = {HubId(row["hub"]) for row in new}
    await counts.add(tx, release_id, opened((facts, shown) for facts, shown in rows if facts.hub in hubs))
    return hubs


async def save(tx: Tx, release_id: ReleaseId, rows: Sequence[tuple[Row, Facts, Shown]], *, steps: int) -> None:
    """Write rows back: (as loaded, new facts, what they amount to). `steps` is how far their versions go on.

    Only pieces that changed in one of the rows are written; the counts follow. Raises RuntimeError when a row that was
    loaded under lock is not there any more.
    """
    changed = (
        Column(*column)
        for piece, cells in _changed(rows)
        for column in zip(piece.names, piece.types, cells, strict=True)
    )
    keys = (
        Column("release_id", "text", (release_id,)),
        Column("part", "smallint", [facts.part for _, facts, _ in rows]),
        Column("hub", "bigint", [facts.hub for _, facts, _ in rows]),
    )
    await update_rows(tx, "ledger", keys, changed, also=(f"version = ledger.version + {steps}",))
    await counts.add(tx, release_id, moved(rows))


def _changed(rows: Sequence[tuple[Row, Facts, Shown]]) -> Iterator[tuple[Piece, Sequence[tuple[Any, ...]]]]:
    """The pieces that differ from what was loaded in any of the rows, with their columns as they are now.

    Compared column by column: a row of its own would cost four times as much.
    """
    for group, value_of in VALUES.items():
        group_of = attrgetter(group)
        before = [group_of(row.facts) for row, _, _ in rows]
        after = [group_of(facts) for _, facts, _ in rows]
        if not all(map(is_, before, after)):
            yield from _differing(group, map(value_of, before), map(value_of, after))
    loaded = [row.shown for row, _, _ in rows if row.shown is not None]
    yield from _differing("shown", loaded, [shown for _, _, shown in rows])


def _differing(
    group: str, before: Iterable[tuple[Any, ...]], after: Iterable[tuple[Any, ...]]
) -> Iterator[tuple[Piece, Sequence[tuple[Any, ...]]]]:
    were, are = list(zip(*before, strict=True)), list(zip(*after, strict=True))
    return ((piece, are[piece.place]) for piece in GROUPS[group] if were[piece.place] != are[piece.place])


DELIVERY, OUTCOME, CONFIRMATION = "delivery", "outcome", "confirmation"
"""What hubs wait for: the image on its way, the outcome of the CS06 sent, the inventory to show the new version."""


async def oldest_waits(tx: Tx) -> list[tuple[ReleaseId, str, Instant]]:
    """(release, what for, since when): of the hub that has waited longest, also if it was found silent meanwhile.

    For an outcome a hub waits since the time in its CS06.
    """
    rows = await tx.fetch(SQL["oldest_waits"])
    waits = (DELIVERY, OUTCOME, CONFIRMATION)
    return [(row["release_id"], awaits, row[awaits]) for row in rows for awaits in waits if row[awaits] is not None]
