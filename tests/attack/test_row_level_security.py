"""The second wall: a request of a Party runs as a role that sees the rows of that Party, whatever it asks for."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.roles import Role
from chfw_common.runtime.access import access_of, party_role_of, role_of
from chfw_common.runtime.database import open_database
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.http.commands import Commands
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.roles import install_schemas
from chfw_common.runtime.service import Tx
from chfw_common.topology import SERVICES, schema_of
from tests.attack.rows import (
    HUBS,
    OTHER,
    OWN,
    PARTIES,
    REQUESTS,
    Probes,
    Relation,
    acting,
    attempt,
    fill,
    readable,
    writes,
)
from tests.support.databases import Databases
from tests.support.release import NOW
from tests.support.serving import StoryClock

READS, WRITES = 8_000, 2_000
AT_ONCE = 50
SUPPLIER = Caller(PartyId(OWN), UserId("u"), Role.IMPORT_SUPPLIER)
SCHEMAS = [name for service in SERVICES for name in (schema_of(service), f"{schema_of(service)}_published")]


async def install(tx: Tx, database: str) -> None:
    """The schemas of all services, with rows of both Suppliers everywhere."""
    await install_schemas(tx, database)
    await tx.execute("set local search_path to public")
    await fill(tx)


@pytest.fixture(scope="module")
def walled_dsn(databases: Databases) -> Iterator[str]:
    """One database for the tests here: none of them changes it for good."""
    dsn = databases.clone("walled", install)
    yield dsn
    databases.drop(dsn)


@pytest.fixture
async def admin(walled_dsn: str) -> AsyncIterator[Tx]:
    """The administrator's connection, in a transaction that is undone at the end."""
    connection = await asyncpg.connect(walled_dsn)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def relations(admin: Tx) -> list[Relation]:
    """Everything that some role for Parties may read."""
    return [relation for service in SERVICES for relation in await readable(admin, service)]


async def leaks(admin: Tx, probes: Probes, total: int) -> list[str]:
    """The questions, of so many, that gave one Supplier a row of the other."""
    found, asked, answered = [], 0, 0
    known = await relations(admin)
    while asked < total:
        relation, party = known[(asked // AT_ONCE) % len(known)], PARTIES[(asked // AT_ONCE // len(known)) % 2]
        async with acting(admin, relation.service, party) as tx:
            for _ in range(AT_ONCE):
                statement = probes.select(relation)
                rows = await tx.fetch(statement)
                answered += len(rows)
                found += [f"{party}: {statement}" for row in rows if relation.foreign(row, party)]
        asked += AT_ONCE
    assert answered > total / 10, "questions that nothing answers prove nothing"
    return found


async def test_no_question_without_a_condition_gives_a_row_of_another(admin: Tx) -> None:
    assert await leaks(admin, Probes(1), READS) == []


@pytest.mark.parametrize("table", ["instruction.request", "notifier.feed", "smi.hub", "scheduler.ledger"])
async def test_control_with_the_policy_open_the_questions_find_rows_of_others(admin: Tx, table: str) -> None:
    name = "shown" if table == "scheduler.ledger" else "party"
    await admin.execute(f'alter policy "{name}" on {table} using (true)')
    if table == "smi.hub":
        await admin.execute(f'alter policy "shown" on {table} using (true)')
    assert await leaks(admin, Probes(2), 1_500)


async def state(admin: Tx) -> list[Any]:
    """Every row of the other Supplier."""
    tables = ("instruction.party", "instruction.request", "instruction.request_chunk", "notifier.feed", "smi.hub")
    return [await admin.fetch(f"select t::text from {table} t order by 1") for table in tables]


async def test_no_statement_changes_a_row_of_another_or_gives_it_one(admin: Tx) -> None:
    probes, known, made = Probes(3), await relations(admin), 0
    before = await state(admin)
    while made < WRITES:
        for relation in known:
            async with acting(admin, relation.service, OWN) as tx:
                for statement in writes(relation, probes.condition(relation)):
                    rows = await attempt(tx, statement)
                    assert not [row for row in rows if relation.foreign(row, OWN)], statement
                    made += 1
    assert await state(admin) == before


async def test_a_party_changes_its_own_rows(admin: Tx) -> None:
    """Else the statements above would prove nothing."""
    async with acting(admin, "instruction", OWN) as tx:
        assert await attempt(tx, "update party set last_seq = 7 returning party") == [(OWN,)]


@pytest.mark.parametrize("service", SERVICES)
async def test_without_a_party_there_are_no_rows(admin: Tx, service: str) -> None:
    secured = {f"{schema_of(service)}.{one.table}" for one in access_of(service).values() if one.why is None}
    secured |= {"smi_published.hub", "scheduler_published.ledger", "instruction_published.pilot_hub"}
    async with acting(admin, service, None) as tx:
        for relation in [one for one in await readable(admin, service) if one.name in secured]:
            assert await tx.fetch(f"select * from {relation.name}") == [], relation.name


async def test_every_table_is_secured_or_says_why_not(admin: Tx) -> None:
    rows = await admin.fetch(
        """select n.nspname as schema, c.relname as table, c.relrowsecurity and c.relforcerowsecurity as forced,
                  array(select p.polname::text from pg_policy p where p.polrelid = c.oid order by 1) as policies
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where c.relkind in ('r', 'p') and n.nspname = any($1)""",
        SCHEMAS,
    )
    entries = {(schema_of(service), one.table): one for service in SERVICES for one in access_of(service).values()}
    assert {(row["schema"], row["table"]) for row in rows} == entries.keys()
    for row in rows:
        entry = entries[row["schema"], row["table"]]
        wanted = {"service"} | ({"party"} if entry.party else set())
        wanted |= {"shown", "readers"} if entry.shown_to else set()
        assert row["forced"] is (entry.why is None), row
        assert set(row["policies"]) == (wanted if entry.why is None else set()), row


async def test_what_the_roles_for_parties_may_do_is_what_is_listed(admin: Tx) -> None:
    for service in SERVICES:
        rows = await admin.fetch(
            """select table_name, lower(privilege_type) as verb from information_schema.role_table_grants
               where grantee = $1 and table_schema = $2""",
            party_role_of(service),
            schema_of(service),
        )
        listed = {(one.table, verb) for one in access_of(service).values() for verb in one.party.split()}
        assert {(row["table_name"], row["verb"]) for row in rows} == listed


async def test_no_role_and_no_view_goes_round_it(admin: Tx) -> None:
    roles = [name for service in SERVICES for name in (role_of(service), party_role_of(service))]
    wrong = await admin.fetch(
        """select rolname from pg_roles where rolname = any($1)
           and (rolsuper or rolbypassrls or rolcreaterole or rolreplication or (rolcanlogin and rolname like '%_party'))
           union all
           select c.oid::regclass::text from pg_class c join pg_roles r on r.oid = c.relowner where r.rolname = any($1)
           union all
           select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
           where n.nspname = any($2) and p.prosecdef
           union all
           select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where n.nspname = any($2) and c.relkind in ('m', 'f')
              or (n.nspname = any($2) and c.relkind = 'v' and not 'security_invoker=true' = any(c.reloptions))
           union all
           select m.member::regrole::text from pg_auth_members m join pg_roles r on r.oid = m.member
           where r.rolname like 'chfw%party'
              or (r.rolname = any($1) and m.inherit_option and m.roleid <> 'chfw_services'::regrole)""",
        roles,
        SCHEMAS,
    )
    assert wrong == []


async def test_no_key_of_a_table_that_a_party_writes_is_shared(admin: Tx) -> None:
    """Else a collision would say that another has it."""
    for service in SERVICES:
        for entry in access_of(service).values():
            if "insert" not in entry.party and "update" not in entry.party:
                continue
            keys = await admin.fetch(
                """select array(select a.attname::text from pg_attribute a
                                where a.attrelid = i.indrelid and a.attnum = any(i.indkey)) as columns
                   from pg_index i where i.indrelid = $1::text::regclass and i.indisunique""",
                f"{schema_of(service)}.{entry.table}",
            )
            assert keys
            assert all(set(entry.rows_of) & set(key["columns"]) for key in keys), entry.table


async def test_an_id_that_another_has_is_as_free_as_any(admin: Tx) -> None:
    copy = """insert into request_chunk (request_id, party, chunk, raw, hub, duplicates)
              values ($1::text::uuid, current_setting('chfw.party'), 0, 'raw', '{1}', '{}')"""
    said = []
    for request in (REQUESTS[OTHER], "00000000-0000-0000-0000-0000000000ff"):
        async with acting(admin, "instruction", OWN) as tx:
            with pytest.raises(asyncpg.ForeignKeyViolationError) as refused:
                await tx.execute(copy, request)
            said.append((refused.value.sqlstate, refused.value.constraint_name))
    assert said[0] == said[1]


async def test_a_route_that_forgets_the_condition_gives_nothing_of_others(walled_dsn: str) -> None:
    """What a stage gets from `Commands` is walled already."""
    found = {}
    statements = {
        "instruction": "select party from request",
        "notifier": "select hub from scheduler_published.ledger join smi_published.hub using (hub) order by hub",
        "smi": "select hub from hub order by hub",
    }
    for service, statement in statements.items():
        database = await open_database(walled_dsn, service)
        async with Commands(database, StoryClock(NOW), Wake()).reading(SUPPLIER) as tx:
            found[service] = [row[0] for row in await tx.fetch(statement)]
        async with database.transaction() as tx:
            assert await tx.fetchval("select current_setting('role')") == "none", (
                "the next transaction is the service's"
            )
            assert not await tx.fetchval("select current_setting('chfw.party')")
        await database.close()
    own = [hub for hub, parties in HUBS.items() if OWN in parties]
    assert found == {"instruction": [OWN], "notifier": own, "smi": own}
