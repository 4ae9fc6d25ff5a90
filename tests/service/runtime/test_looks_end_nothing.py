"""What only looks, or only grants a wish, ends no process when it fails: it is said, and looked again."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog

from chfw_common.runtime import gauges
from chfw_common.runtime.clock import RealClock
from chfw_common.runtime.database import Database, open_database
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.pieces import follow_wishes
from chfw_common.runtime.service import Gauge, Pieces, Service, due_tick
from tests.support import toy


@pytest.fixture
async def database(toy_dsn: str) -> AsyncIterator[Database]:
    """The toy's own."""
    opened = await open_database(toy_dsn, toy.NAME)
    yield opened
    await opened.close()


class Counting(RealClock):
    """A clock that waits for nothing, and says when somebody has waited so often."""

    def __init__(self, rounds: int) -> None:
        self._left = rounds
        self.over = asyncio.Event()

    async def machine_sleep(self, seconds: float) -> None:  # noqa: ARG002 - the shape of a clock
        """One round is over."""
        self._left -= 1
        if self._left == 0:
            self.over.set()
        await asyncio.sleep(0)


async def broken(*_: Any) -> Any:
    """What cannot be done."""
    raise ZeroDivisionError


async def goes_on(work: Any, clock: Counting) -> None:
    """The loop is still there after its rounds."""
    task = asyncio.create_task(work)
    rounds = asyncio.create_task(clock.over.wait())
    await asyncio.wait([task, rounds], return_when=asyncio.FIRST_COMPLETED)
    assert not task.done(), task.exception()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_gauge_that_cannot_be_read(database: Database) -> None:
    service = Service(toy.NAME, gauges=[Gauge("chfw_rollout_hubs", broken)])
    clock = Counting(3)
    with structlog.testing.capture_logs() as lines:
        await goes_on(gauges.follow(service, database, clock, Metrics(toy.NAME, ())), clock)
    assert [line["action"] for line in lines] == ["gauges_fail"]


async def test_a_wish_that_cannot_be_granted(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute(
            """insert into set_aside (tick, work, error, set_aside_at, retry)
               values ('t', '{}', 'e', '2026-10-01T00:00:00Z', true)"""
        )
    clock = Counting(3)
    with structlog.testing.capture_logs() as lines:
        await goes_on(follow_wishes(database, [due_tick("t", Pieces(broken, broken), broken)], clock), clock)
    assert [line["action"] for line in lines] == ["set_aside_fails"]
    async with database.transaction() as tx:
        assert await tx.fetchval("select retry from set_aside"), "it is kept, with the wish"
