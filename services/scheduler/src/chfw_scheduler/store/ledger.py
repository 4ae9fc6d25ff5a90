"""The ledger: rows as facts, loaded under lock; what changed is written back.

Statements stand in ledger.sql, but for the two that write: the columns they name come from the one table below, and on
an update from what changed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from operator import attrgetter, is_
from typing import Any, NamedTuple, TypeAlias

import orjson

from chfw_common.kernel.hubs import DeviceStatus, DeviceType, Make, Responsibility
from chfw_common.kernel.ids import HubId, PartyId, ReleaseId, UserId
from chfw_common.kernel.instants import Instant, format_instant, parse_instant
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import FINAL_STATES, AnswerKind, Group, HubState, Mode
from chfw_common.runtime.columns import columns
from chfw_common.runtime.dues import PartDue
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx, Work
from chfw_common.runtime.updates import Column, kinds_of, update_rows
from chfw_scheduler.domain.facts import (
    Arming,
    ArmResult,
    Consent,
    Delivery,
    Facts,
    Inventory,
    Row,
    Shown,
    Silence,
)
from chfw_scheduler.domain.merge import Answer
from chfw_scheduler.domain.totals import moved, opened
from chfw_scheduler.store import counts

SQL = load_queries("chfw_scheduler.store", "ledger.sql")
_FIRST = (-1, 0)
"""A place before every row: partitions begin at 0."""
_LAST = (32_767, (1 << 63) - 1)
"""A place behind every row."""
PAGE = 10_000
"""A step of a job looks at no more rows, even if it takes few of them: the step is short whatever their states are."""


Place: TypeAlias = tuple[int, int]
"""Where a job stands in a release: the partition and the hub of the last row it has seen."""


class _Piece(NamedTuple):
    """Columns that change together: a part of a group of facts, with their array types for `unnest`."""

    group: str
    place: slice
    names: tuple[str, ...]
    types: tuple[str, ...]


def _pieces(group: str, text: str) -> list[_Piece]:
    found: list[_Piece] = []
    start = 0
    for piece in text.split("|"):
        names, types = zip(*kinds_of(piece), strict=True)
        found.append(_Piece(group, slice(start, start + len(names)), names, types))
        start += len(names)
    return found


_GROUPS: dict[str, list[_Piece]] = {
    group: _pieces(group, text)
    for group, text in {
        "inventory": "smi_version:bigint | smi_firmware:text smi_status:text smi_region:text | smi_make:json"
        " | import_party:text import_user:text import_since:timestamptz"
        " gas_party:text gas_user:text gas_since:timestamptz",
        "consent": "answers:json | answer_closed:timestamptz automatic_due:timestamptz",
        "delivery": "dist_epoch:int dist_at:timestamptz dist_tries:smallint | delivered_at:timestamptz"
        " | dist_failed_at:timestamptz dist_refused_at:timestamptz dist_reason:text",
        "arming": "arm_epoch:int arm_counter:bigint arm_at:timestamptz | arm_planned_for:timestamptz"
        " arm_fires_at:timestamptz | arm_accepted_at:timestamptz"
        " | arm_ended:text arm_ended_at:timestamptz arm_reason:text cancel_counter:bigint cancel_at:timestamptz"
        " cancel_for:text cancel_refused_at:timestamptz cancel_refusals:smallint too_late_at:timestamptz"
        " | outcome:smallint outcome_at:timestamptz arm_tries:smallint doubted_at:timestamptz",
        "silence": "silent_since:timestamptz | last_word_at:timestamptz"
        " | reads:smallint read_counter:bigint read_at:timestamptz read_refused_at:timestamptz"
        " unreachable_at:timestamptz",
        "shown": "state:text | reason:text"
        " | activate_at:timestamptz | answer_by:timestamptz proposed_at:timestamptz pilot:boolean | wave:text"
        " | claim_at:timestamptz | check_at:timestamptz",
    }.items()
}
"""The columns of the table in their order, by the group of facts they hold; last what the facts amount to."""
_PIECES = tuple(piece for pieces in _GROUPS.values() for piece in pieces)
_NAMES = tuple(name for piece in _PIECES for name in piece.names)
_LOADED = ("release_id", "part", "hub", "version", *_NAMES)


def _places() -> dict[str, slice]:
    places, start = {}, len(_LOADED) - len(_NAMES)
    for group, pieces in _GROUPS.items():
        places[group] = slice(start, start + pieces[-1].place.stop)
        start += pieces[-1].place.stop
    return places


_PLACES = _places()
_DELIVERY, _ARMING, _SILENCE = _PLACES["delivery"], _PLACES["arming"], _PLACES["silence"]
_CONSENT, _SHOWN = _PLACES["consent"], _PLACES["shown"]
_RESPONSIBLE = slice(_PLACES["inventory"].start + 5, _PLACES["inventory"].stop)
_NO_DELIVERY, _NO_ARMING, _NO_SILENCE = Delivery(), Arming(), Silence()
_STATES = {state.value: state for state in HubState}
_STATUSES = {status.value: status for status in DeviceStatus}
_KEPT = 8_192
"""Texts and pairs of Suppliers whose meaning is kept: hubs of a request share them, and a row costs a third."""


async def lock_rows(
    tx: Tx, release_id: ReleaseId, part: int, hubs: Sequence[HubId], *, wait: bool = True
) -> dict[HubId, Row]:
    """The rows of hubs of one partition, locked in the order of hub ids.

    `wait=False` is for a transaction that has written counts: a row that another holds raises an error of Postgres that
    means "try again", since the other may be waiting for the counts.
    """
    rows = await tx.fetch(SQL["lock_rows" if wait else "lock_rows_nowait"], release_id, part, list(hubs))
    return {row.facts.hub: row for row in _rows(rows)}


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
        rows += _rows(await tx.fetch(SQL[statement], release_id, part, now, limit - len(rows)))
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
    rows = _rows(await tx.fetch(SQL["lock_between"], release_id, *begin, *end, finals, limit))
    if len(rows) == limit:
        return rows, (rows[-1].facts.part, rows[-1].facts.hub)
    return rows, None if found is None else end


async def lock_may_fire(
    tx: Tx, release_id: ReleaseId, after: Place | None, *, before_epoch: int, limit: int
) -> list[Row]:
    """The next rows of a release by (part, hub) whose CS06 is older than an epoch and may fire."""
    rows = await tx.fetch(SQL["lock_may_fire"], release_id, *(after or _FIRST), before_epoch, limit)
    return _rows(rows)


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
    names = ["part", "hub", *_NAMES]
    types = ["smallint", "bigint", *(kind for piece in _PIECES for kind in piece.types)]
    arrays = ", ".join(f"${i + 2}::{kind}[]" for i, kind in enumerate(types))
    new = await tx.fetch(
        f"""insert into ledger (release_id, version, {", ".join(names)})
            select $1, 1, {", ".join(f"u.{name}" for name in names)}
            from unnest({arrays}) u({", ".join(names)}) order by u.part, u.hub
            on conflict do nothing returning hub""",
        release_id,
        *columns(_all_values(facts, shown) for facts, shown in rows),
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


def _changed(rows: Sequence[tuple[Row, Facts, Shown]]) -> Iterator[tuple[_Piece, Sequence[tuple[Any, ...]]]]:
    """The pieces that differ from what was loaded in any of the rows, with their columns as they are now.

    Compared column by column: a row of its own would cost four times as much.
    """
    for group, value_of in _VALUES.items():
        group_of = attrgetter(group)
        before = [group_of(row.facts) for row, _, _ in rows]
        after = [group_of(facts) for _, facts, _ in rows]
        if not all(map(is_, before, after)):
            yield from _differing(group, map(value_of, before), map(value_of, after))
    loaded = [row.shown for row, _, _ in rows if row.shown is not None]
    yield from _differing("shown", loaded, [shown for _, _, shown in rows])


def _differing(
    group: str, before: Iterable[tuple[Any, ...]], after: Iterable[tuple[Any, ...]]
) -> Iterator[tuple[_Piece, Sequence[tuple[Any, ...]]]]:
    were, are = list(zip(*before, strict=True)), list(zip(*after, strict=True))
    return ((piece, are[piece.place]) for piece in _GROUPS[group] if were[piece.place] != are[piece.place])


DELIVERY, OUTCOME, CONFIRMATION = "delivery", "outcome", "confirmation"
"""What hubs wait for: the image on its way, the outcome of the CS06 sent, the inventory to show the new version."""


async def oldest_waits(tx: Tx) -> list[tuple[ReleaseId, str, Instant]]:
    """(release, what for, since when): of the hub that has waited longest, also if it was found silent meanwhile.

    For an outcome a hub waits since the time in its CS06.
    """
    rows = await tx.fetch(SQL["oldest_waits"])
    waits = (DELIVERY, OUTCOME, CONFIRMATION)
    return [(row["release_id"], awaits, row[awaits]) for row in rows for awaits in waits if row[awaits] is not None]


@lru_cache(maxsize=_KEPT)
def _answers_out(answers: tuple[Answer, ...]) -> str:
    rows = [
        [
            a.party,
            a.party_seq,
            a.kind,
            a.group,
            format_instant(a.received_at),
            None if a.activate_at is None else format_instant(a.activate_at),
        ]
        for a in answers
    ]
    return orjson.dumps(rows).decode()


@lru_cache(maxsize=_KEPT)
def _answers_in(text: str) -> tuple[Answer, ...]:
    return tuple(
        Answer(
            PartyId(party),
            seq,
            AnswerKind(kind),
            Group(group),
            parse_instant(received_at),
            None if activate_at is None else parse_instant(activate_at),
        )
        for party, seq, kind, group, received_at, activate_at in orjson.loads(text)
    )


@lru_cache(maxsize=_KEPT)
def _make_out(make: Make) -> str:
    return orjson.dumps([*make]).decode()


@lru_cache(maxsize=_KEPT)
def _make_in(text: str) -> Make:
    device_type, *others = orjson.loads(text)
    return Make(DeviceType(device_type), *others)


def _inventory_values(inventory: Inventory) -> tuple[Any, ...]:
    slots: dict[Role, Responsibility] = {one.role: one for one in inventory.responsible}
    flat: list[Any] = [inventory.version, inventory.firmware, inventory.status, inventory.region]
    flat.append(_make_out(inventory.make))
    for role in (Role.IMPORT_SUPPLIER, Role.GAS_SUPPLIER):
        one = slots.get(role)
        flat += [None, None, None] if one is None else [one.party, one.user_id, one.since]
    return tuple(flat)


_VALUES: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "inventory": _inventory_values,
    "consent": lambda consent: (_answers_out(consent.answers), *consent[1:]),
    "delivery": tuple,
    "arming": tuple,
    "silence": tuple,
}
"""The columns of a group in their order. The last three are the fields of the group one by one."""


def _all_values(facts: Facts, shown: Shown) -> tuple[Any, ...]:
    groups = (value for group, value_of in _VALUES.items() for value in value_of(getattr(facts, group)))
    return (facts.part, facts.hub, *groups, *shown)


def _rows(records: Sequence[Any]) -> list[Row]:
    """Rows as facts. Hubs of a batch share most values, and most groups are still as they were made: both are kept.

    Raises LookupError when the columns do not come in the order of the table above.
    """
    if records and tuple(records[0].keys()) != _LOADED:
        raise LookupError(f"the columns of the ledger are {tuple(records[0].keys())}")
    return [_row(tuple(record)) for record in records]


def _row(values: tuple[Any, ...]) -> Row:
    _, part, hub, version, smi_version, smi_firmware, smi_status, smi_region, make = values[:9]
    answers, answer_closed, automatic_due = values[_CONSENT]
    delivery, arming, silence = values[_DELIVERY], values[_ARMING], values[_SILENCE]
    facts = Facts(
        HubId(hub),
        part,
        Inventory(
            smi_version,
            smi_firmware,
            _STATUSES[smi_status],
            smi_region,
            _responsible(*values[_RESPONSIBLE]),
            _make_in(make),
        ),
        Consent(_answers_in(answers), answer_closed, automatic_due),
        _NO_DELIVERY if delivery == _NO_DELIVERY else Delivery._make(delivery),
        _NO_ARMING if arming == _NO_ARMING else _arming(arming),
        _NO_SILENCE if silence == _NO_SILENCE else Silence._make(silence),
    )
    state, *others = values[_SHOWN]
    return Row(version, facts, Shown(_STATES[state], *others))


def _arming(values: tuple[Any, ...]) -> Arming:
    arming = Arming._make(values)
    if arming.ended is not None:
        arming = arming._replace(ended=ArmResult(arming.ended))
    return arming if arming.cancel_for is None else arming._replace(cancel_for=Mode(arming.cancel_for))


@lru_cache(maxsize=_KEPT)
def _responsible(
    import_party: PartyId | None,
    import_user: UserId,
    import_since: Instant,
    gas_party: PartyId | None,
    gas_user: UserId,
    gas_since: Instant,
) -> tuple[Responsibility, ...]:
    found = []
    if import_party is not None:
        found.append(Responsibility(import_party, import_user, Role.IMPORT_SUPPLIER, import_since))
    if gas_party is not None:
        found.append(Responsibility(gas_party, gas_user, Role.GAS_SUPPLIER, gas_since))
    return tuple(found)
