"""A database of its own for each test: a clone of a template that is prepared once a session (a pytest plugin)."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit

import asyncpg
import pytest

from chfw_cli.local.install import role_passwords
from chfw_common.runtime.access import grant_access, make_roles
from chfw_common.runtime.migrations import migrate
from chfw_common.runtime.roles import install_schemas
from chfw_common.runtime.service import Tx
from tests.support import toy
from tests.support.servers import LoopThread, RunningPostgres

Prepare = Callable[[Tx, str], Awaitable[object]]


@dataclass
class Databases:
    """The databases of a session's Postgres."""

    server: RunningPostgres
    loop: LoopThread
    _made: set[str] = field(default_factory=set)
    _numbers: "count[int]" = field(default_factory=count)

    def clone(self, template: str, prepare: Prepare) -> str:
        """The address of a new database like the template; `prepare` fills the template when it is first asked for."""
        if template not in self._made:
            self._execute(self.server.admin_dsn, f'create database "{template}"')
            self.loop.run(_fill(self.server.dsn(template), template, prepare))
            self._made.add(template)
        name = f"{template}_{next(self._numbers)}"
        self._execute(self.server.admin_dsn, f'create database "{name}" template "{template}"')
        return self.server.dsn(name)

    def drop(self, dsn: str) -> None:
        """Remove a clone, whoever is still connected."""
        self._execute(self.server.admin_dsn, f'drop database "{name_of(dsn)}" with (force)')

    async def install(self, tx: Tx, database: str) -> None:
        """Prepare a template with the schemas of all services, and the roles with their passwords."""
        await install_schemas(tx, database, role_passwords(self.server.server))

    def _execute(self, dsn: str, statement: str) -> None:
        self.loop.run(_execute(dsn, statement))


def name_of(dsn: str) -> str:
    """The database of an address."""
    return urlsplit(dsn).path.removeprefix("/")


def as_role(dsn: str, role: str) -> str:
    """The same database for a role, without the file of passwords."""
    parts = urlsplit(dsn)
    return f"postgresql://{role}@{parts.netloc.rpartition('@')[2]}{parts.path}"


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _fill(dsn: str, name: str, prepare: Prepare) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await prepare(connection, name)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def databases(postgres_server: RunningPostgres, server_loop: LoopThread) -> Databases:
    """Makes and removes databases on the session's Postgres."""
    return Databases(postgres_server, server_loop)


@pytest.fixture
def toy_dsn(databases: Databases) -> Iterator[str]:
    """A database with the schema of the toy service."""
    dsn = databases.clone("toy", toy.install)
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def chfw_dsn(databases: Databases) -> Iterator[str]:
    """A database with the schemas and roles of all services."""
    dsn = databases.clone("chfw", databases.install)
    yield dsn
    databases.drop(dsn)


@contextlib.asynccontextmanager
async def undone(admin_dsn: str, service: str) -> AsyncIterator[Tx]:
    """A transaction with the schema of one service in it, rolled back at the end."""
    connection = await asyncpg.connect(admin_dsn, server_settings={"timezone": "UTC"})
    transaction = connection.transaction()
    await transaction.start()
    try:
        await make_roles(connection)
        await migrate(connection, service)
        await grant_access(connection, service)
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()
