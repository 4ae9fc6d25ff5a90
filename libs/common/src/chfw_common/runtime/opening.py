"""Servers that are missing when a process starts: it says what is missing and where, and waits until it is there."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import asyncpg

from chfw_common.runtime.backoff import Backoff
from chfw_common.runtime.clock import Clock, NoPaceError, Pace, read_pace
from chfw_common.runtime.database import Database, open_database
from chfw_common.runtime.errors import SchemaMissingError, TransientError
from chfw_common.runtime.migrations import require_current
from chfw_common.runtime.repeats import Repeated
from chfw_common.runtime.transient import transient_as_error

FIRST = 0.2
"""Seconds between the first two tries."""
_NOT_INSTALLED = (
    asyncpg.InvalidCatalogNameError,  # no such database
    asyncpg.InvalidAuthorizationSpecificationError,  # no such role
    asyncpg.InsufficientPrivilegeError,
)

T = TypeVar("T")


class PasswordRefusedError(Exception):
    """Postgres does not take the password of the service's role: waiting does not mend that."""


def place_of(dsn: str) -> str:
    """Where a Postgres is, as host:port/database: what may be logged of its address."""
    parts = urlsplit(dsn)
    return f"{parts.netloc.rpartition('@')[2] or 'local socket'}{parts.path}"


async def open_when_there(
    dsn: str, service: str, *, password_file: Path, connections: int, clock: Clock, settings: Mapping[str, str]
) -> Database:
    """Connect, however long it takes until Postgres is there and knows the service's role and database.

    Raises PasswordRefusedError. In a service that runs, a password refused is waited out like a server that is away:
    while passwords are changed, file and role differ for a moment.
    """

    async def connect() -> Database:
        async with transient_as_error():
            try:
                return await open_database(
                    dsn, service, password_file=password_file, connections=connections, settings=settings
                )
            except asyncpg.InvalidPasswordError as error:
                raise PasswordRefusedError(str(error)) from error

    return await _patiently(connect, place_of(dsn), clock)


async def current_when_there(database: Database, dsn: str, service: str, clock: Clock) -> None:
    """Return once every migration of this code has run. Raises SchemaOutOfDateError when the schema is another."""

    async def look() -> None:
        async with transient_as_error(), database.transaction() as tx:
            await require_current(tx, service)

    await _patiently(look, place_of(dsn), clock)


async def pace_when_there(database: Database, dsn: str, clock: Clock) -> Pace:
    """The pace of the paced clock, once somebody has set it."""

    async def look() -> Pace:
        async with transient_as_error(), database.looking() as connection:
            return await read_pace(connection)

    return await _patiently(look, place_of(dsn), clock)


async def _patiently(attempt: Callable[[], Awaitable[T]], place: str, clock: Clock) -> T:
    backoff, waits = Backoff(clock, FIRST), Repeated()
    while True:
        try:
            found = await attempt()
            waits.over(server=place)
            return found
        except TransientError as error:
            waits.failed("Postgres is not there yet", action="database_waits", server=place, error=error)
        except (SchemaMissingError, *_NOT_INSTALLED) as error:
            waits.failed(
                "Postgres is there, but not installed for this service yet", action="schema_waits", server=place,
                error=error,
            )  # fmt: skip
        except NoPaceError as error:
            waits.failed("the paced clock stands nowhere yet", action="clock_waits", server=place, error=error)
        await backoff.wait()
