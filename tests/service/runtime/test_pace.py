"""The paced clock on a real Postgres: told of a new pace at once, and right again after it has lost its connection."""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from chfw_common.kernel.instants import Instant, parse_instant
from chfw_common.runtime import clock as clocks
from chfw_common.runtime.clock import Pace, PacedClock, machine_now, read_pace, write_pace
from chfw_common.runtime.database import open_database
from chfw_common.runtime.service import Tx
from tests.support.waiting import eventually, running

START = parse_instant("2027-01-01T00:00:00Z")
DAY = timedelta(days=1)
LISTENS = "select exists (select from pg_stat_activity where query like 'select anchor%' and pid <> pg_backend_pid())"


@pytest.fixture
async def admin(chfw_dsn: str) -> AsyncIterator[Tx]:
    """The driver's connection."""
    connection = await asyncpg.connect(chfw_dsn)
    await stand_at(connection, START)
    yield connection
    await connection.close()


@contextlib.asynccontextmanager
async def following(admin: Tx, chfw_dsn: str) -> AsyncIterator[PacedClock]:
    """A clock that follows."""
    database = await open_database(chfw_dsn, "scheduler")
    followed = PacedClock(await read_pace(database.pool))

    async def listens() -> bool:
        return bool(await admin.fetchval(LISTENS))

    async with running(followed.follow(database.pool)):
        await eventually(listens)
        yield followed
    await database.close()


async def stand_at(admin: Tx, at: Instant) -> None:
    """Let the clock stand."""
    await write_pace(admin, Pace(machine_now(), at, 0.0, at))


async def follows(admin: Tx, clock: PacedClock, at: Instant) -> None:
    """Let the clock stand at an instant; return when it does."""

    async def shown() -> bool:
        return clock.now() == at

    await stand_at(admin, at)
    await eventually(shown)


async def test_a_new_pace_is_told(admin: Tx, chfw_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "PACE_REFRESH", 3_600.0)
    async with following(admin, chfw_dsn) as clock:
        for days in range(1, 20):
            await follows(admin, clock, START + days * DAY)


async def test_a_lost_connection_is_made_again(admin: Tx, chfw_dsn: str) -> None:
    async with following(admin, chfw_dsn) as clock:
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'chfw-scheduler'"
        )
        for days in (1, 2):
            await follows(admin, clock, START + days * DAY)
