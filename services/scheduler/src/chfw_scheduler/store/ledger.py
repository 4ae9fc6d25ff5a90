"""The ledger: rows as facts, loaded under lock and written back group by group.

Statements stand in ledger.sql, but for the two that write: which columns they name depends on the groups of facts that
changed, so they are composed here from the one table of columns below.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from chfw_common.kernel.hubs import DeviceStatus, Responsibility
from chfw_common.kernel.ids import HubId, PartyId, ReleaseId, UserId
from chfw_common.kernel.instants import Instant, format_instant, parse_instant
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import FINAL_STATES, AnswerKind, Group, HubState, Mode
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
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

SQL = load_queries("chfw_scheduler.store", "ledger.sql")
_FIRST = (-1, 0)
"""A place before every row: partitions begin at 0."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of one group of facts, with their array types for `unnest`."""

    names: tuple[str, ...]
    types: tuple[str, ...]


def _columns(text: str) -> _Columns:
    pairs = [entry.split(":") for entry in text.split()]
    return _Columns(tuple(name for name, _ in pairs), tuple(kind for _, kind in pairs))


_GROUPS: dict[str, _Columns] = {
    "inventory": _columns(
        "smi_version:bigint smi_firmware:text smi_status:text import_party:text import_user:text "
        "import_since:timestamptz gas_party:text gas_user:text gas_since:timestamptz"
    ),
    "consent": _columns("answers:text answer_closed:timestamptz automatic_due:timestamptz"),
    "delivery": _columns(
        "dist_epoch:int dist_at:timestamptz dist_tries:smallint delivered_at:timestamptz dist_failed_at:timestamptz "
        "dist_refused_at:timestamptz dist_reason:text"
    ),
    "arming": _columns(
        "arm_epoch:int arm_counter:bigint arm_at:timestamptz arm_planned_for:timestamptz arm_fires_at:timestamptz "
        "arm_accepted_at:timestamptz arm_ended:text arm_ended_at:timestamptz arm_reason:text cancel_counter:bigint "
        "cancel_at:timestamptz cancel_for:text too_late_at:timestamptz outcome:smallint outcome_at:timestamptz "
        "arm_tries:smallint"
    ),
    "silence": _columns(
        "silent_since:timestamptz last_word_at:timestamptz reads:smallint read_counter:bigint read_at:timestamptz "
        "read_refused_at:timestamptz unreachable_at:timestamptz"
    ),
}
_SHOWN = _columns(
    "state:text reason:text activate_at:timestamptz answer_by:timestamptz proposed_at:timestamptz pilot:boolean "
    "claim_at:timestamptz check_at:timestamptz"
)
GROUPS = tuple(_GROUPS)


def _value(name: str) -> str:
    """A column of `unnest` as an expression. JSON travels as text: an array of arrays would mean something else."""
    return f"u.{name}::jsonb" if name == "answers" else f"u.{name}"


async def lock_rows(tx: Tx, release_id: ReleaseId, part: int, hubs: Sequence[HubId]) -> dict[HubId, Row]:
    """The rows of hubs of one partition, locked in the order of hub ids."""
    rows = await tx.fetch(SQL["lock_rows"], release_id, part, list(hubs))
    return {HubId(row["hub"]): _row(row) for row in rows}


async def lock_claimable(
    tx: Tx, release_id: ReleaseId, part: int, now: Instant, *, pilot_only: bool, limit: int
) -> list[Row]:
    """Rows of one partition whose claim is due; rows that others hold are passed over."""
    statement = SQL["lock_claimable_pilot" if pilot_only else "lock_claimable"]
    return [_row(row) for row in await tx.fetch(statement, release_id, part, now, limit)]


async def lock_checkable(tx: Tx, release_id: ReleaseId, part: int, now: Instant, *, limit: int) -> list[Row]:
    """Rows of one partition for which time has become a fact; rows that others hold are passed over."""
    return [_row(row) for row in await tx.fetch(SQL["lock_checkable"], release_id, part, now, limit)]


async def lock_after(tx: Tx, release_id: ReleaseId, after: tuple[int, int] | None, *, limit: int) -> list[Row]:
    """The next rows of a release by (part, hub) that are not final."""
    finals = sorted(FINAL_STATES)
    return [_row(row) for row in await tx.fetch(SQL["lock_after"], release_id, *(after or _FIRST), finals, limit)]


async def lock_in_force(
    tx: Tx, release_id: ReleaseId, after: tuple[int, int] | None, *, before_epoch: int, limit: int
) -> list[Row]:
    """The next rows of a release by (part, hub) that have a CS06 in force which is older than an epoch."""
    rows = await tx.fetch(SQL["lock_in_force"], release_id, *(after or _FIRST), before_epoch, limit)
    return [_row(row) for row in rows]


async def earliest_claim(
    tx: Tx, release_id: ReleaseId, partitions: int, *, pilot_only: bool
) -> tuple[Instant, int] | None:
    """The earliest claim that is due in a release, and its partition."""
    statement = SQL["earliest_claim_pilot" if pilot_only else "earliest_claim"]
    row = await tx.fetchrow(statement, release_id, partitions)
    return None if row is None else (row["claim_at"], row["part"])


async def earliest_check(tx: Tx, release_id: ReleaseId, partitions: int) -> tuple[Instant, int] | None:
    """The earliest check that is due in a release, and its partition."""
    row = await tx.fetchrow(SQL["earliest_check"], release_id, partitions)
    return None if row is None else (row["check_at"], row["part"])


async def enrol(tx: Tx, release_id: ReleaseId, rows: Sequence[tuple[Facts, Shown]]) -> list[HubId]:
    """Insert rows that do not exist yet; gives the hubs that are new. Raises nothing for those that exist."""
    if not rows:
        return []
    names = ["part", "hub"] + [name for group in GROUPS for name in _GROUPS[group].names] + list(_SHOWN.names)
    types = ["smallint", "bigint"] + [kind for group in GROUPS for kind in _GROUPS[group].types] + list(_SHOWN.types)
    columns = list(zip(*(_all_values(facts, shown) for facts, shown in rows), strict=True))
    arrays = ", ".join(f"${i + 2}::{kind}[]" for i, kind in enumerate(types))
    new = await tx.fetch(
        f"""insert into ledger (release_id, version, {", ".join(names)})
            select $1, 1, {", ".join(map(_value, names))}
            from unnest({arrays}) u({", ".join(names)}) order by u.part, u.hub
            on conflict do nothing returning hub""",
        release_id,
        *map(list, columns),
    )
    return [HubId(row["hub"]) for row in new]


async def save(tx: Tx, release_id: ReleaseId, part: int, rows: Sequence[tuple[Row, Facts, Shown]]) -> None:
    """Write rows of one partition back: (as loaded, new facts, what they amount to). Only changed groups are written.

    Raises RuntimeError when a row that was loaded under lock is not there any more.
    """
    by_groups: dict[tuple[str, ...], list[tuple[Row, Facts, Shown]]] = {}
    for row, facts, shown in rows:
        changed = tuple(g for g in GROUPS if getattr(facts, g) is not getattr(row.facts, g))
        by_groups.setdefault(changed, []).append((row, facts, shown))
    for groups, same in sorted(by_groups.items(), key=lambda entry: entry[0]):
        await _save_groups(tx, release_id, part, groups, same)


async def _save_groups(
    tx: Tx, release_id: ReleaseId, part: int, groups: Sequence[str], rows: Sequence[tuple[Row, Facts, Shown]]
) -> None:
    names = [name for group in groups for name in _GROUPS[group].names] + list(_SHOWN.names)
    types = [kind for group in groups for kind in _GROUPS[group].types] + list(_SHOWN.types)
    arrays = ", ".join(f"${i + 4}::{kind}[]" for i, kind in enumerate(types))
    values = [
        (
            *(value for group in groups for value in _VALUES[group](getattr(facts, group))),
            *_shown_values(shown),
        )
        for _, facts, shown in rows
    ]
    status = await tx.execute(
        f"""update ledger set version = ledger.version + 1, {", ".join(f"{name} = {_value(name)}" for name in names)}
            from unnest($3::bigint[], {arrays}) u(hub, {", ".join(names)})
            where ledger.release_id = $1 and ledger.part = $2 and ledger.hub = u.hub""",
        release_id,
        part,
        [facts.hub for _, facts, _ in rows],
        *map(list, zip(*values, strict=True)),
    )
    if status != f"UPDATE {len(rows)}":
        raise RuntimeError(f"{len(rows)} ledger rows were locked, but: {status}")


async def totals(tx: Tx, release_id: ReleaseId) -> tuple[dict[HubState, int], int]:
    """Hubs by state (they sum to the enrolled hubs), and how many have a CS06 in force that may still fire."""
    rows = await tx.fetch(SQL["totals"], release_id)
    return {HubState(row["state"]): row["n"] for row in rows}, sum(row["at_risk"] for row in rows)


async def states(tx: Tx) -> list[tuple[str, str, int]]:
    """(release, state, hubs) of every release."""
    return [(row["release_id"], row["state"], row["n"]) for row in await tx.fetch(SQL["states"])]


def _answers_out(answers: Iterable[Answer]) -> str:
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


def _answers_in(found: list[list[Any]]) -> tuple[Answer, ...]:
    return tuple(
        Answer(
            PartyId(party),
            seq,
            AnswerKind(kind),
            Group(group),
            parse_instant(received_at),
            None if activate_at is None else parse_instant(activate_at),
        )
        for party, seq, kind, group, received_at, activate_at in found
    )


def _inventory_values(inventory: Inventory) -> tuple[Any, ...]:
    slots: dict[Role, Responsibility] = {one.role: one for one in inventory.responsible}
    flat: list[Any] = [inventory.version, inventory.firmware, inventory.status]
    for role in (Role.IMPORT_SUPPLIER, Role.GAS_SUPPLIER):
        one = slots.get(role)
        flat += [None, None, None] if one is None else [one.party, one.user_id, one.since]
    return tuple(flat)


def _arming_values(a: Arming) -> tuple[Any, ...]:
    return (
        a.epoch, a.counter, a.at, a.planned_for, a.fires_at, a.accepted_at, a.ended, a.ended_at, a.reason,
        a.cancel_counter, a.cancel_at, a.cancel_for, a.too_late_at, a.outcome, a.outcome_at, a.tries,
    )  # fmt: skip


_VALUES: dict[str, Any] = {
    "inventory": _inventory_values,
    "consent": lambda c: (_answers_out(c.answers), c.answer_closed, c.automatic_due),
    "delivery": lambda d: (d.epoch, d.at, d.tries, d.delivered_at, d.failed_at, d.refused_at, d.reason),
    "arming": _arming_values,
    "silence": lambda s: (
        s.since,
        s.last_word_at,
        s.reads,
        s.read_counter,
        s.read_at,
        s.read_refused_at,
        s.unreachable_at,
    ),
}


def _shown_values(s: Shown) -> tuple[Any, ...]:
    return (s.state, s.reason, s.activate_at, s.answer_by, s.proposed_at, s.pilot, s.claim_at, s.check_at)


def _all_values(facts: Facts, shown: Shown) -> tuple[Any, ...]:
    groups = (value for group in GROUPS for value in _VALUES[group](getattr(facts, group)))
    return (facts.part, facts.hub, *groups, *_shown_values(shown))


def _row(r: Any) -> Row:
    responsible = []
    if r["import_party"] is not None:
        responsible.append(_responsible(r, "import", Role.IMPORT_SUPPLIER))
    if r["gas_party"] is not None:
        responsible.append(_responsible(r, "gas", Role.GAS_SUPPLIER))
    facts = Facts(
        hub=HubId(r["hub"]),
        part=r["part"],
        inventory=Inventory(
            r["smi_version"], r["smi_firmware"], DeviceStatus(r["smi_status"]), tuple(responsible)
        ),
        consent=Consent(_answers_in(r["answers"]), r["answer_closed"], r["automatic_due"]),
        delivery=Delivery(
            r["dist_epoch"], r["dist_at"], r["dist_tries"], r["delivered_at"], r["dist_failed_at"],
            r["dist_refused_at"], r["dist_reason"],
        ),
        arming=Arming(
            r["arm_epoch"], r["arm_counter"], r["arm_at"], r["arm_planned_for"], r["arm_fires_at"],
            r["arm_accepted_at"], None if r["arm_ended"] is None else ArmResult(r["arm_ended"]), r["arm_ended_at"],
            r["arm_reason"], r["cancel_counter"], r["cancel_at"],
            None if r["cancel_for"] is None else Mode(r["cancel_for"]), r["too_late_at"], r["outcome"],
            r["outcome_at"], r["arm_tries"],
        ),
        silence=Silence(
            r["silent_since"], r["last_word_at"], r["reads"], r["read_counter"], r["read_at"],
            r["read_refused_at"], r["unreachable_at"],
        ),
    )  # fmt: skip
    shown = Shown(
        HubState(r["state"]), r["reason"], r["activate_at"], r["answer_by"], r["proposed_at"], r["pilot"],
        r["claim_at"], r["check_at"],
    )  # fmt: skip
    return Row(r["version"], facts, shown)


def _responsible(r: Any, slot: str, role: Role) -> Responsibility:
    return Responsibility(PartyId(r[f"{slot}_party"]), UserId(r[f"{slot}_user"]), role, r[f"{slot}_since"])
