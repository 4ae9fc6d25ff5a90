"""Rows of two Suppliers in every table that holds some, and questions of one of them about everything."""

import contextlib
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from chfw_common.kernel.ids import HubId
from chfw_common.kernel.instants import parse_instant
from chfw_common.runtime.access import PARTY, party_role_of
from chfw_common.runtime.service import Tx
from chfw_common.topology import schema_of

OWN, OTHER = "alpha", "beta"
PARTIES = (OWN, OTHER)
NAMES = ("party", "import_party", "gas_party", "queue")
"""The columns that name a Party."""
REQUESTS = {
    OWN: "00000000-0000-0000-0000-00000000000a",
    OTHER: "00000000-0000-0000-0000-00000000000b",
}
AT = parse_instant("2026-03-01T00:00:00Z")
HUBS: Mapping[HubId, tuple[str, str | None]] = {
    HubId(1): (OWN, None),
    HubId(2): (OTHER, None),
    HubId(3): (OWN, OTHER),
    HubId(4): (OTHER, OWN),
    HubId(5): (OTHER, OTHER),
    HubId(6): ("gamma", OTHER),
}
"""Hub -> its Import Supplier and its Gas Supplier."""

_REQUEST = """
insert into instruction.request (id, party, key, digest, user_id, party_seq, release_id, kind, "group", received_at,
    entries, image, automatic_date, waves, pilot_opens, pilot_places)
values ($1, $2, 'k', '\\x00', $2 || '-user', 1, 'R', 'instruct', 'pilot', $3, 1, '{}', $3, '[]', $3, 300)
"""
_HUB = """
insert into smi.hub (hub, part, device_type, status, status_since, manufacturer, model, hardware, firmware, gbcs,
    region, import_party, import_user, import_since, gas_party, gas_user, gas_since, smi_version)
values ($1, 0, 'CHF', 'Commissioned', $4, 'Acme', 'CH9', 'H1', '9', '4.1', 'north', $2, $2, $4, $3::text, $3::text,
    case when $3::text is not null then $4::timestamptz end, 1)
"""
_LEDGER = """
insert into scheduler.ledger (release_id, part, hub, version, smi_version, smi_firmware, smi_status, smi_region,
    smi_make, import_party, import_user, import_since, gas_party, gas_user, gas_since, answers, dist_epoch, dist_tries,
    arm_epoch, arm_counter, cancel_counter, cancel_refusals, arm_tries, reads, read_counter, state, pilot)
values ('R', 0, $1, 1, 1, '9', 'Commissioned', 'north', '[]', $2, $2, $4, $3::text, $3::text,
    case when $3::text is not null then $4::timestamptz end, '[]', 0, 0, 0, 0, 0, 0, 0, 0, 0, 'eligible', false)
"""
_OF_A_PARTY = (
    "insert into instruction.party values ($1, 1)",
    "insert into notifier.party values ($1, 'supplier', 1)",
    "insert into notifier.release_party values ('R', $1)",
    "insert into notifier.lapse_told values ('R', 1, $1)",
    "insert into notifier.answered_request values ($1, 'k', '\\x00', '{}')",
    "insert into smi.answered_request values ($1, 'k', '\\x00', '{}')",
    "insert into governance.answered_request values ($1, 'k', '\\x00', '{}')",
)
_OF_A_PARTY_AT = (
    """insert into instruction.job (kind, name, queue, args, cursor, state, created_at)
       values ('judge', $1, $1, '{}', '{}', 'open', $2)""",
    "insert into notifier.feed values ($1, 1, '00000000-0000-0000-0000-000000000001', 'told', 'R', $2, '{}', 2)",
    "insert into scheduler.late_answer values ('R', 1, $1, 1, 'request', $2)",
)
_FOR_ALL = (
    "insert into instruction.release values ('R', 1, '{}', true, 'voluntary', $1, '[]', $1, '{}')",
    """insert into notifier.release (release_id, version, notice, notified_at, automatic_date, waves)
       values ('R', 1, '{}', $1, $1, '[]')""",
)


async def fill(admin: Tx) -> None:
    """Put rows of both Suppliers everywhere, as the administrator."""
    for statement in _FOR_ALL:
        await admin.execute(statement, AT)
    for party in PARTIES:
        for statement in _OF_A_PARTY:
            await admin.execute(statement, party)
        for statement in _OF_A_PARTY_AT:
            await admin.execute(statement, party, AT)
        await admin.execute(_REQUEST, REQUESTS[party], party, AT)
        await admin.execute(
            "insert into instruction.request_chunk values ($1, $2, 0, 'raw', '{1}', '{}')", REQUESTS[party], party
        )
    for hub, (imports, gas) in HUBS.items():
        await admin.execute(_HUB, hub, imports, gas, AT)
        await admin.execute(_LEDGER, hub, imports, gas, AT)
        await admin.execute("insert into instruction.pilot_hub values ('R', $1, $2)", hub, OTHER)


@contextlib.asynccontextmanager
async def acting(admin: Tx, service: str, party: str | None) -> AsyncIterator[Tx]:
    """A transaction of a request of a Party (None: of nobody, as if the setting were forgotten), undone at the end."""
    transaction = admin.transaction()
    await transaction.start()
    try:
        await admin.execute(f"set local search_path to {schema_of(service)}")
        await admin.execute(
            "select set_config('role', $1, true), set_config($2, $3, true)", party_role_of(service), PARTY, party or ""
        )
        yield admin
    finally:
        await transaction.rollback()


@dataclass(frozen=True)
class Relation:
    """A table or view that the role for Parties of a service may read, with its columns and their types."""

    service: str
    name: str
    columns: Mapping[str, str]

    def foreign(self, row: Mapping[str, Any], party: str) -> bool:
        """Whether a row is of others alone: what names Parties does not name this one, or the hub is not one of its."""
        named = {row[column] for column in NAMES if column in self.columns}
        if named:
            return party not in named
        return "hub" in self.columns and party not in HUBS[row["hub"]]


_READABLE = """
select format('%I.%I', n.nspname, c.relname) as name,
       array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 order by a.attnum)
           as columns,
       array(select format_type(a.atttypid, null) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0
             order by a.attnum) as types
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'v') and n.nspname !~ '^(pg_|information_schema|chfw_clock)'
  and has_schema_privilege($1, n.oid, 'usage') and has_table_privilege($1, c.oid, 'select')
order by 1
"""


async def readable(admin: Tx, service: str) -> list[Relation]:
    """What the role for Parties of a service can name and read."""
    rows = await admin.fetch(_READABLE, party_role_of(service))
    return [Relation(service, row["name"], dict(zip(row["columns"], row["types"], strict=True))) for row in rows]


class Probes:
    """Random statements about a relation that do not name the Party they run for."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def condition(self, relation: Relation) -> str:
        """A condition that may be true of anything; never one on the Party that asks."""
        chosen = self._random.sample(sorted(relation.columns), self._random.randint(0, min(2, len(relation.columns))))
        joined = self._random.choice((" and ", " or "))
        return joined.join(self._about(column, relation.columns[column]) for column in chosen) or "true"

    def select(self, relation: Relation) -> str:
        """A question: rows as they are, in some order."""
        order = self._random.choice(sorted(relation.columns))
        ordered = f' order by "{order}"::text' if self._random.random() < 0.3 else ""
        return f"select * from {relation.name} where {self.condition(relation)}{ordered}"

    def _about(self, column: str, kind: str) -> str:
        quoted = f'"{column}"'
        choices = [
            f"{quoted} is not null",
            f"{quoted} is null",
            f"length({quoted}::text) > {self._random.randint(0, 9)}",
        ]
        if kind in {"bigint", "integer", "smallint"}:
            choices.append(f"{quoted} {self._random.choice(('>=', '<>', '<'))} {self._random.randint(-2, 7)}")
        if kind == "text":
            choices += [f"{quoted} <> ''", f"{quoted} like '%{self._random.choice('abRk')}%'", f"{quoted} = '{OTHER}'"]
        return self._random.choice(choices)


def writes(relation: Relation, condition: str) -> Iterator[str]:
    """Statements that would change rows of the other Supplier, or give it some."""
    yield f"update {relation.name} set {_first(relation)} = {_first(relation)} where {condition} returning *"
    yield f"delete from {relation.name} where {condition} returning *"
    for column in NAMES:
        if column in relation.columns:
            yield f"update {relation.name} set {column} = '{OTHER}' where {condition} returning *"
            names = ", ".join(f'"{name}"' for name in relation.columns)
            values = ", ".join(f"'{OTHER}'" if name == column else f'"{name}"' for name in relation.columns)
            yield (
                f"insert into {relation.name} ({names}) overriding system value"
                f" select {values} from {relation.name} returning *"
            )


def _first(relation: Relation) -> str:
    return f'"{next(name for name in relation.columns if name != "id")}"'


async def attempt(tx: Tx, statement: str) -> list[asyncpg.Record]:
    """The rows that a statement gives; a statement that Postgres refuses gives none."""
    try:
        async with tx.transaction():
            return list(await tx.fetch(statement))
    except (
        asyncpg.InsufficientPrivilegeError,
        asyncpg.ObjectNotInPrerequisiteStateError,
        asyncpg.FeatureNotSupportedError,
    ):
        return []
