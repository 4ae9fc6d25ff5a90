"""Evidence is written once, every change has its record, and whoever rewrites the log is found out."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from chfw_cli import aside, parked, positions, unsent
from chfw_cli.audit import checkpoint_file, key_file, known_checkpoints, make_key, verify_logs
from chfw_cli.chosen import Choice
from chfw_cli.local.state import StateDir
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.roles import Role
from chfw_common.runtime.accepting import Decision, Proposal
from chfw_common.runtime.access import access_of, role_of
from chfw_common.runtime.audit.checkpoints import CheckpointFile, private_key
from chfw_common.runtime.audit.follow import Pace, sign_what_is_new
from chfw_common.runtime.audit.log import read_records
from chfw_common.runtime.audit.record import beginning, digest_of, link
from chfw_common.runtime.audit.verify import Kind
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.database import Database, open_database
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.http.commands import Commands
from chfw_common.runtime.offsets import Position
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.service import Answered, Change, Now, Tx
from chfw_common.topology import SERVICES, schema_of
from tests.service.documents.stand import publishing
from tests.service.documents.uses import USES
from tests.support.databases import Databases
from tests.support.release import NOW
from tests.support.serving import StoryClock

EVIDENCE = ("consumed_range", "parked_offset", "stepped_over", "position_decision", "schema_migration", "audit")
DCC = Caller(PartyId("dcc"), UserId("u"), Role.DCC, token="jti-1")
AT_ONCE = Pace(1, timedelta(hours=1))
CHANGING: Mapping[str, tuple[str, ...]] = {
    "notifier": ("announce", "revise"),
    "instruction": ("instruct",),
    "device-sim": ("load",),
    "smi": ("load", "change-supplier"),
    "governance": ("decide",),
}
"""What the routes of each service change, by what the log calls it."""
FREE = {"POST /v1/releases/{release_id}/pilot:preview"}
"""Changes nothing, whatever its method."""


@pytest.fixture
async def admin(chfw_dsn: str) -> AsyncIterator[Any]:
    """The owner of the database: the one whom no grant stops."""
    connection = await asyncpg.connect(chfw_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def database(chfw_dsn: str) -> AsyncIterator[Database]:
    """Governance's own."""
    opened = await open_database(chfw_dsn, "governance")
    yield opened
    await opened.close()


async def decide(_tx: Tx, n: int, _now: Now) -> Answered[int]:
    """A command that changes something."""
    return Answered(n, f"test|{n}", Change("decide", f"R{n}", None, {"epoch": n}))


async def refuse(tx: Tx, n: int, now: Now) -> Answered[int]:
    """A command that fails after its change."""
    await decide(tx, n, now)
    raise ValueError(n)


async def write(database: Database, *numbers: int) -> None:
    """So many records, one behind the other."""
    commands = Commands(database, StoryClock(NOW), Wake(), asked_as='"key"')
    for n in numbers:
        await commands.run(decide, n, DCC)


async def audited(admin: Any, service: str = "governance") -> list[tuple[Any, ...]]:
    rows = await admin.fetch(
        f"select seq, party, role, token, request, action, subject, after from {schema_of(service)}.audit order by seq"
    )
    return [tuple(row) for row in rows]


# ---- evidence is insert-only


async def test_a_service_can_neither_change_nor_delete_evidence(admin: Any) -> None:
    for service in SERVICES:
        for table in (*EVIDENCE, *(("decision",) if service == "governance" else ())):
            column = await admin.fetchval(
                "select attname::text from pg_attribute where attrelid = $1::text::regclass and attnum = 1",
                f"{schema_of(service)}.{table}",
            )
            for statement in (
                f"update {table} set {column} = default",
                f"delete from {table}",
                f"truncate {table}",
                f"alter table {table} disable row level security",
                f"drop table {table}",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await as_service(admin, service, statement)


async def as_service(admin: Any, service: str, statement: str) -> None:
    async with admin.transaction():
        await admin.execute(f"set local session authorization {role_of(service)}")
        await admin.execute(f"set local search_path to {schema_of(service)}")
        await admin.execute(statement)


async def test_the_rights_of_services_are_those_that_are_listed(admin: Any) -> None:
    for service in SERVICES:
        rows = await admin.fetch(
            """select table_name, lower(privilege_type) as verb from information_schema.role_table_grants
               where grantee = $1 and table_schema = $2""",
            role_of(service),
            schema_of(service),
        )
        tables = {one.table: one for one in access_of(service).values()}
        found = {(row["table_name"], row["verb"]) for row in rows if row["table_name"] in tables}
        assert found == {(one.table, verb) for one in tables.values() for verb in one.service.split()}


# ---- every change has its record


@pytest.mark.parametrize("service", [name for name in SERVICES if USES[name]])
async def test_every_route_that_changes_something_writes_one_record(
    databases: Databases, tmp_path: Path, service: str
) -> None:
    async with publishing(databases, tmp_path, service) as published:
        for route, use in USES[service].items():
            token = published.token(use.role)
            headers = {"Authorization": f"Bearer {token}"}
            before = await published.stand.fetch("select count(*) from audit")
            # Those with another method than PATCH were asked before, under the same key.
            _, answer = await published.use(route, use, headers)
            assert answer.is_success, answer.text
            ((count,),) = await published.stand.fetch("select count(*) from audit")
            wrote = count - before[0][0]
            assert wrote == (1 if route.startswith("PATCH") else 0), route
        rows = await published.stand.fetch("select action, party, user_id, role, token, request, subject from audit")
        assert {row[0] for row in rows} == set(CHANGING[service])
        for action, party, user, role, token, _, subject in rows:
            assert (party, user) == ("elec", f"elec-{role.lower()}")
            assert token
            assert "." not in token, "a token has two of them, and must not be kept"
            assert subject, action
        changing = {route for route in USES[service] if not route.startswith("GET")} - FREE
        assert {row[5].strip('"') for row in rows} == changing
        async with published.stand.database.looking() as connection:
            counts, found = await verify_logs(connection, {}, [service])
        assert (counts[service], found) == (len(rows), [])


async def test_a_party_that_is_seen_for_the_first_time_is_written_down(databases: Databases, tmp_path: Path) -> None:
    async with publishing(databases, tmp_path, "notifier") as published:
        token = published.issuer.token(PartyId("stranger"), UserId("s"), Role.CSP)
        for _ in range(2):
            headers = {"Authorization": f"Bearer {token}"}
            assert (await published.stand.client.get("/v1/events", headers=headers)).is_success
        rows = await published.stand.fetch("select party, subject, after from audit where action = 'enrol'")
        assert rows == [("stranger", "stranger", '{"role":"CSP"}')]


async def test_a_change_that_fails_leaves_no_record_and_a_record_that_fails_no_change(
    admin: Any, database: Database
) -> None:
    commands = Commands(database, StoryClock(NOW), Wake())
    with pytest.raises(ValueError, match="7"):
        await commands.run(refuse, 7, DCC)
    assert await audited(admin) == []

    async def note(tx: Tx, n: int, now: Now) -> Answered[int]:
        await tx.execute("insert into answered_request values ('p', 'k', '\\x00', '{}')")
        return await decide(tx, n, now)

    await admin.execute("delete from governance.audit_head")
    with pytest.raises(asyncpg.RaiseError, match="no audit log governance"):
        await commands.run(note, 1, DCC)
    assert await admin.fetch("select * from governance.answered_request") == []


async def test_changes_at_the_same_time_make_one_chain_without_gaps(admin: Any, database: Database) -> None:
    await asyncio.gather(*(write(database, n, n + 100) for n in range(20)))
    assert [row[0] for row in await audited(admin)] == list(range(1, 41))
    assert await verify_logs(admin, {}, ["governance"]) == ({"governance": 40}, [])


async def test_what_an_operator_changes_is_in_the_log_of_its_service(admin: Any) -> None:
    at = machine_now()
    await admin.execute(
        """insert into smi.parked_event (lane, topic, partition, key, event_id, event_type, payload, event_time,
               written_at, error, parked_at)
           select 1, 't', 0, '', '00000000-0000-0000-0000-00000000000a', 't', '', $1, $1, 'e', $1
           from generate_series(1, 2)""",
        at,
    )
    await admin.execute("insert into smi.set_aside (tick, work, error, set_aside_at) values ('x', '{}', 'e', $1)", at)
    await admin.execute(
        """insert into smi.parked_record (topic, partition, "offset", headers, kind, error, parked_at)
           values ('t', 0, 7, '[]', 'invalid', 'e', $1)""",
        at,
    )
    await admin.execute("insert into smi.consumer_offset values ('t', 0, 'id', 5, 0)")
    (first, second) = await unsent.find(admin, Choice())
    await unsent.drop(admin, [first])
    await unsent.send_again(admin, [second])
    await aside.retry(admin, await aside.find(admin, Choice()))
    await parked.drop(admin, await parked.find(admin, Choice()))
    before, after = Position("id", 0, 5), Position("id", 0, 9)
    standing = positions.Standing("smi", "t", 0, before, None, Proposal(before, after, (5, 9), "a hole"))
    await positions.decide(admin, [standing], Decision("lost", "Jo", at))
    rows = await audited(admin, "smi")
    assert [row[5] for row in rows] == [
        "unsent drop", "unsent retry", "aside retry", "parked drop", "positions accept",
    ]  # fmt: skip
    assert {row[2] for row in rows} == {"operator"}
    assert orjson.loads(rows[-1][7]) == {
        "topic_id": "id", "incarnation": 0, "next": 9, "reason": "lost", "decided_by": "Jo",
    }  # fmt: skip
    assert (await verify_logs(admin, {}))[1] == []


# ---- whoever rewrites the log is found out


FIVE = (1, 2, 3, 4, 5)
_TAMPERED = {
    "update governance.audit set user_id = 'mallory' where seq = 3": (3, Kind.CHANGED),
    "update governance.audit set at = at - interval '1 microsecond' where seq = 3": (3, Kind.CHANGED),
    "delete from governance.audit where seq = 2": (2, Kind.DROPPED),
    "delete from governance.audit where seq = 2; update governance.audit set seq = seq - 1 where seq > 2": (
        2,
        Kind.DROPPED,
    ),
    "update governance.audit set seq = 6 - seq + 100; update governance.audit set seq = seq - 100": (1, Kind.MOVED),
    "delete from governance.audit where seq > 3": (4, Kind.DROPPED),
    """update governance.audit set seq = seq + 100 where seq > 2;
       update governance.audit set seq = seq - 99 where seq > 2;
       insert into governance.audit select stream, 3, at, party, 'mallory', role, token, request, action, subject,
           before, after, hash, hash from governance.audit where seq = 2""": (3, Kind.CHANGED),
}


async def test_what_the_owner_of_the_database_does_to_records_is_named(admin: Any, database: Database) -> None:
    await write(database, *FIVE)
    await admin.execute("create temp table written as select * from governance.audit")
    for statements, (seq, kind) in _TAMPERED.items():
        await admin.execute(statements)
        _, (fault,) = await verify_logs(admin, {}, ["governance"])
        assert fault.startswith(f"governance: record {seq} was {kind}: "), (statements, fault)
        await admin.execute("delete from governance.audit; insert into governance.audit select * from written")
        assert (await verify_logs(admin, {}, ["governance"]))[1] == []


async def recompute(admin: Any, seq: int) -> None:
    """Change a record and compute the chain anew from there, with the code's own functions."""
    await admin.execute("set search_path to governance")
    await admin.execute("update audit set user_id = 'mallory' where seq = $1", seq)
    previous = beginning("governance")
    for record in await read_records(admin, "governance"):
        made = link(previous, record.seq, digest_of("governance", record.entry))
        await admin.execute("update audit set previous = $2, hash = $3 where seq = $1", record.seq, previous, made)
        previous = made
    await admin.execute("update audit_head set hash = $1", previous)


async def test_a_chain_computed_anew_is_found_by_the_signed_checkpoints(
    admin: Any, database: Database, state_dir: StateDir
) -> None:
    make_key(state_dir)
    file = CheckpointFile(checkpoint_file(state_dir, "governance"), "governance", private_key(key_file(state_dir)))
    assert await sign_what_is_new(database, file, AT_ONCE) is None
    for n in FIVE:
        await write(database, n)
        if n in {2, 4}:
            assert await sign_what_is_new(database, file, AT_ONCE) is None
    checkpoints, wrong = known_checkpoints(state_dir, ["governance"])
    assert ([one.seq for one in checkpoints["governance"]], wrong) == ([2, 4], [])
    assert (await verify_logs(admin, checkpoints, ["governance"]))[1] == []
    await recompute(admin, 3)
    assert (await verify_logs(admin, {}, ["governance"]))[1] == [], "the chain alone is whole"
    _, (fault,) = await verify_logs(admin, checkpoints, ["governance"])
    assert fault.startswith("governance: record 3 was rewritten: ")
    refused = await sign_what_is_new(database, file, AT_ONCE)
    assert refused is not None, "a running service signs nothing that does not follow from what it signed"
    assert (refused.seq, refused.kind) == (4, Kind.REWRITTEN)
    await admin.execute("delete from audit where seq > 1")
    await admin.execute("update audit_head h set seq = 1, hash = a.hash from audit a")
    _, (fault,) = await verify_logs(admin, {"governance": checkpoints["governance"][1:]}, ["governance"])
    assert fault.startswith("governance: record 2 was dropped: ")


async def test_a_checkpoint_that_was_taken_away_or_forged_is_named(database: Database, state_dir: StateDir) -> None:
    make_key(state_dir)
    place = checkpoint_file(state_dir, "governance")
    file = CheckpointFile(place, "governance", private_key(key_file(state_dir)))
    for n in FIVE:
        await write(database, n)
        await sign_what_is_new(database, file, AT_ONCE)
    lines = place.read_text().splitlines(keepends=True)
    place.write_text("".join(lines[:1] + lines[2:]))
    assert known_checkpoints(state_dir, ["governance"]) == (
        {}, ["governance: governance.jsonl, line 2: checkpoint 2 is missing before it"]
    )  # fmt: skip
    place.write_text(lines[0].replace('"seq":1', '"seq":9'))
    _, (wrong,) = known_checkpoints(state_dir, ["governance"])
    assert "is not signed with this key" in wrong
