"""Who may not speak to Postgres, and what those who may cannot do: on the server as `chfw up` runs it."""

import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from chfw_cli.local.postgres import ROLES
from chfw_common.runtime.access import role_of
from chfw_common.runtime.database import open_database
from chfw_common.runtime.passwords import read_secret
from chfw_common.topology import SERVICES, schema_of
from tests.support.databases import Databases, as_role
from tests.support.servers import RunningPostgres
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.servers", "tests.support.databases"]

WRONG = "open-sesame"
REFUSED = (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    """One database with all schemas: nothing here leaves much behind."""
    made = databases.clone("chfw", databases.install)
    yield made
    databases.drop(made)


async def connected(dsn: str, role: str, password: str | None) -> Any:
    return await asyncpg.connect(as_role(dsn, role), password=password, passfile="/none")


@pytest.mark.parametrize("password", [None, "", WRONG])
@pytest.mark.parametrize("role", ROLES)
async def test_nobody_gets_in_without_the_password_of_the_role(dsn: str, role: str, password: str | None) -> None:
    with pytest.raises(REFUSED):
        await connected(dsn, role, password)


@pytest.mark.parametrize("role", ["chfw_owner", "nobody"])
async def test_a_role_that_is_no_services_has_no_way_in(dsn: str, postgres_server: RunningPostgres, role: str) -> None:
    """Not even with a password that is right for another."""
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match=r"no pg_hba\.conf entry"):
        await connected(dsn, role, read_secret(postgres_server.server.password_file("postgres")))


@pytest.fixture(params=SERVICES)
async def insider(
    request: pytest.FixtureRequest, dsn: str, postgres_server: RunningPostgres
) -> AsyncIterator[tuple[str, Any]]:
    """A service, and what somebody who holds its password can reach."""
    service: str = request.param
    connection = await connected(
        dsn, role_of(service), read_secret(postgres_server.server.password_file(role_of(service)))
    )
    yield service, connection
    await connection.close()


async def test_a_service_writes_its_own_schema_and_no_other(insider: tuple[str, Any]) -> None:
    service, connection = insider
    for owner in SERVICES:
        statement = f"insert into {schema_of(owner)}.tick_call (tick, calls) values ('x', 1)"
        if owner == service:
            await connection.execute(statement)
            continue
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "copy tick_call (tick) from program 'id'",
        "copy (select 'x') to program 'cat'",
        "copy (select 'x') to '/tmp/x'",
        "select pg_read_file('/etc/passwd')",
        "select lo_import('/etc/passwd')",
        "create role somebody superuser",
        "alter role current_user superuser",
        "alter role postgres password 'x'",
        "set role chfw_owner",
        "set role postgres",
        "set session authorization postgres",
        "create schema mine",
        "create table public.mine (x int)",
        "create extension plperl",
        "create function f() returns int language c as 'libc', 'system'",
        "alter system set log_statement = 'all'",
        "select rolpassword from pg_authid",
        "drop table tick_call",
        "truncate tick_call",
    ],
)
async def test_a_service_runs_no_program_reads_no_file_and_becomes_nobody_else(
    dsn: str, postgres_server: RunningPostgres, statement: str
) -> None:
    password = read_secret(postgres_server.server.password_file("chfw_smi"))
    connection = await connected(dsn, "chfw_smi", password)
    try:
        await connection.execute("set search_path to smi")
        with pytest.raises(
            (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedFileError, asyncpg.FeatureNotSupportedError)
        ):
            await connection.execute(statement.replace("current_user", "chfw_smi"))
    finally:
        await connection.close()


async def test_nothing_of_ours_belongs_to_a_superuser(dsn: str) -> None:
    """A view or a function that runs with its owner's rights reaches no further than the schemas."""
    admin = await asyncpg.connect(dsn)
    try:
        owners = await admin.fetch(
            """
            select distinct r.rolname, r.rolsuper, r.rolcanlogin, r.rolcreaterole, r.rolcreatedb, r.rolreplication
            from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_roles r on r.oid = c.relowner
            where n.nspname = any($1) or n.nspname = 'chfw_clock'
            """,
            [name for service in SERVICES for name in (schema_of(service), f"{schema_of(service)}_published")],
        )
    finally:
        await admin.close()
    assert [tuple(row) for row in owners] == [("chfw_owner", False, False, False, False, False)]


async def test_the_files_of_the_server_are_closed_to_others(postgres_server: RunningPostgres) -> None:
    server = postgres_server.server
    data = server.state.root / "postgres" / "data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.state.secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in server.state.secrets.iterdir()} == {0o600}
    assert not list(data.parent.glob("pwfile*"))
    secrets = {read_secret(server.password_file(role)) for role in ROLES}
    lines = [file.read_text() for file in (data.parent / "postgresql.conf", data.parent / "pg_hba.conf")]
    assert not any(secret in text for secret in secrets for text in (*lines, server.dsn()))
    assert "trust" not in lines[1]


async def test_a_new_password_counts_from_the_next_connection_on(
    dsn: str, postgres_server: RunningPostgres, tmp_path: Path
) -> None:
    """File and role are changed one after the other, with the service up: it needs no restart."""
    file = tmp_path / "password"
    admin = await asyncpg.connect(postgres_server.admin_dsn)
    await admin.execute(f"create role chfw_turning login in role chfw_smi, chfw_services password '{WRONG}'")
    try:
        file.write_text(f"{WRONG}\n")
        file.chmod(0o600)
        database = await open_database(as_role(dsn, "chfw_turning"), "smi", password_file=file, connections=1)
        await admin.execute("alter role chfw_turning password 'another'")
        async with database.looking() as kept:
            assert await kept.fetchval("select true"), "what is connected stays so"
        await database.pool.expire_connections()
        with pytest.raises(asyncpg.InvalidPasswordError):
            async with database.looking():
                pytest.fail("the old password still counts")
        file.write_text("another\n")

        async def again() -> bool:
            async with database.looking() as connection:
                return bool(await connection.fetchval("select current_user = 'chfw_turning'"))

        await eventually(again)
        await database.close()
    finally:
        await admin.execute("drop role chfw_turning")
        await admin.close()
