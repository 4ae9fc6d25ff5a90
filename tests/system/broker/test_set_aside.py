"""Work that fails again and again is found, set aside and kept for a person; everything else goes on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.clock import RealClock, machine_now
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.jobs import jobs_tick, start_job
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.pieces import FAR, try_again
from chfw_common.runtime.service import (
    EVENT_BYTES,
    JobKind,
    JobStep,
    Now,
    Outgoing,
    Pieces,
    Service,
    Taken,
    Tick,
    Tx,
    Work,
    due_tick,
)
from chfw_common.runtime.ticks import TickRunner, run_tick
from tests.support.toy import NAME, ToyHappened, emitted, key_of, toy_topic
from tests.support.waiting import eventually, running

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]

TOPIC = toy_topic("toy.aside")
DUE = "create table due (n bigint primary key, at timestamptz)"


class Wordy(ToyHappened):
    """An event that may be too large."""

    texts: tuple[str, ...]


@dataclass
class Hubs:
    """A tick that takes numbers which are due and tallies them; it fails at some."""

    bugs: set[int] = field(default_factory=set)
    large: set[int] = field(default_factory=set)
    away: int = 0

    async def take(self, tx: Tx, now: Now, limit: int) -> Taken | None:
        rows = await tx.fetch("select n from due where at <= $1 order by at, n limit $2 for update", now(), limit)
        numbers = [row["n"] for row in rows]

        async def act() -> Sequence[Outgoing]:
            await tx.executemany("insert into tally values ($1, 1)", [(n,) for n in numbers])
            await tx.executemany("update due set at = null where n = $1", [(n,) for n in numbers])
            if self.away:
                self.away -= 1
                raise TransientError("the toy's server is away")
            if self.bugs & set(numbers):
                raise ZeroDivisionError
            return [self._event(n) for n in numbers]

        return Taken([{"n": n} for n in numbers], act, more=bool(numbers))

    def _event(self, n: int) -> Outgoing:
        if n not in self.large:
            return emitted(TOPIC, n)
        return Outgoing(TOPIC, key_of(0, 4), 0, Wordy(n=n, texts=("x" * 1_000,) * (EVENT_BYTES // 1_000)))

    async def put_off(self, tx: Tx, work: Work, until: Instant) -> None:
        await tx.execute("update due set at = $2 where n = $1 and at is not null", work["n"], until)

    async def next_due(self, tx: Tx, _now: Instant) -> Instant | None:
        found: Instant | None = await tx.fetchval("select min(at) from due")
        return found

    @property
    def tick(self) -> Tick:
        return due_tick("act", Pieces(self.take, self.put_off), self.next_due)


async def make_due(database: Database, numbers: Sequence[int]) -> None:
    async with database.transaction() as tx:
        await tx.execute(DUE)
        await tx.executemany("insert into due values ($1, $2)", [(n, machine_now()) for n in numbers])


async def fetch(database: Database, query: str) -> list[tuple[Any, ...]]:
    async with database.transaction() as tx:
        return [tuple(row) for row in await tx.fetch(query)]


def runner(database: Database, *ticks: Tick) -> TickRunner:
    return TickRunner(Service(NAME, ticks=ticks), database, Metrics(NAME, ()))


async def test_the_hub_that_fails_is_set_aside_and_the_others_act(toy_database: Database) -> None:
    """The culprits stand at the end of many, so they are not met at once."""
    hubs = Hubs(bugs={55, 120})
    await make_due(toy_database, range(130))

    async def rest_acted() -> bool:
        return await fetch(toy_database, "select count(*) from due where at < '9999-01-01'") == [(0,)]

    async with running(run_tick(runner(toy_database, hubs.tick), hubs.tick, RealClock(), Wake())):
        await eventually(rest_acted)
    assert {n for (n,) in await fetch(toy_database, "select n from tally")} == set(range(130)) - hubs.bugs
    assert await fetch(toy_database, "select n, at from due where at is not null order by n") == [(55, FAR), (120, FAR)]
    aside = await fetch(toy_database, "select tick, work, error from set_aside order by id")
    assert aside == [("act", {"n": n}, "ZeroDivisionError: ") for n in (55, 120)]
    assert len(await fetch(toy_database, "select event_id from outbox")) == 128


async def test_a_hub_whose_event_is_too_large_is_set_aside(toy_database: Database) -> None:
    hubs = Hubs(large={3})
    await make_due(toy_database, range(10))

    async def set_aside() -> bool:
        return await fetch(toy_database, "select work from set_aside") == [({"n": 3},)]

    async def rest_acted() -> bool:
        return await fetch(toy_database, "select count(*) from outbox") == [(9,)]

    async with running(run_tick(runner(toy_database, hubs.tick), hubs.tick, RealClock(), Wake())):
        await eventually(set_aside)
        await eventually(rest_acted)


async def test_what_is_set_aside_acts_once_a_person_wants_it(toy_database: Database) -> None:
    hubs = Hubs(bugs={3})
    await make_due(toy_database, range(10))
    tick = hubs.tick

    async def acted(numbers: int) -> bool:
        return await fetch(toy_database, "select count(*) from tally") == [(numbers,)]

    async with running(run_tick(runner(toy_database, tick), tick, RealClock(), Wake())):
        await eventually(lambda: acted(9))
        assert await try_again(toy_database, [tick], machine_now) == 0, "nobody has asked"
        hubs.bugs.clear()
        async with toy_database.transaction() as tx:
            await tx.execute("update set_aside set retry = true")
        assert await try_again(toy_database, [tick], machine_now) == 1
        await eventually(lambda: acted(10))
    assert await fetch(toy_database, "select * from set_aside") == []


async def test_a_tick_that_fails_at_everything_sets_nothing_aside(toy_database: Database) -> None:
    """A new version with a bug: the tick is at fault, and nobody should have to call back a hundred thousand hubs."""
    hubs = Hubs(bugs=set(range(60)))
    await make_due(toy_database, range(60))
    one = runner(toy_database, hubs.tick)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            await one.call(hubs.tick, machine_now)
    assert await fetch(toy_database, "select * from set_aside") == []
    assert await fetch(toy_database, "select count(*) from due where at < '9999-01-01'") == [(60,)]
    hubs.bugs = {7}
    while (await one.call(hubs.tick, machine_now)).ran:
        pass
    assert await fetch(toy_database, "select work from set_aside") == [({"n": 7},)]
    assert len(await fetch(toy_database, "select * from tally")) == 59


async def test_a_server_that_is_away_sets_nothing_aside(toy_database: Database) -> None:
    hubs, tries = Hubs(away=5), 0
    await make_due(toy_database, range(10))
    one = runner(toy_database, hubs.tick)
    while hubs.away:
        try:
            await one.call(hubs.tick, machine_now)
        except TransientError:
            tries += 1
    assert tries == 5
    assert (await one.call(hubs.tick, machine_now)).ran
    for table in ("set_aside", "tick_failure"):
        assert await fetch(toy_database, f"select * from {table}") == []
    assert len(await fetch(toy_database, "select * from tally")) == 10


async def test_failures_count_only_in_a_row(toy_database: Database) -> None:
    """Two failures, a success, two failures: nothing is at fault for good."""
    hubs = Hubs()
    await make_due(toy_database, [1])
    one = runner(toy_database, hubs.tick)
    for _ in range(2):
        hubs.bugs = {1}
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await one.call(hubs.tick, machine_now)
        hubs.bugs = set()
        assert (await one.call(hubs.tick, machine_now)).ran
        async with toy_database.transaction() as tx:
            await tx.execute("truncate tally")
            await tx.execute("update due set at = $1", machine_now())
    assert await fetch(toy_database, "select * from set_aside") == []


@dataclass
class Jobs:
    """Jobs that tally two numbers each; some fail at the second."""

    bugs: set[int]

    async def step(self, tx: Tx, args: dict[str, Any], cursor: dict[str, Any], _now: Now) -> JobStep:
        at = cursor.get("at", 0)
        n = args["from"] + at
        await tx.execute("insert into tally values ($1, 1)", n)
        if n in self.bugs:
            raise ZeroDivisionError
        return JobStep(None if at else {"at": 1}, [emitted(TOPIC, n)])


async def test_a_job_that_fails_is_set_aside_and_the_next_one_goes_on(toy_database: Database) -> None:
    jobs = Jobs({11})
    tick = jobs_tick([JobKind("count", jobs.step)])
    async with toy_database.transaction() as tx:
        for first in (10, 20, 30):
            await start_job(tx, "count", str(first), {"from": first}, machine_now())

    async def states(*wanted: str) -> bool:
        return await fetch(toy_database, "select state from job order by id") == [(state,) for state in wanted]

    async with running(run_tick(runner(toy_database, tick), tick, RealClock(), Wake())):
        await eventually(lambda: states("set_aside", "done", "done"))
        ((tick_name, work),) = await fetch(toy_database, "select tick, work from set_aside")
        assert (tick_name, work["kind"], work["name"]) == ("jobs", "count", "10")
        jobs.bugs.clear()
        async with toy_database.transaction() as tx:
            await tx.execute("update set_aside set retry = true")
        await try_again(toy_database, [tick], machine_now)
        await eventually(lambda: states("done", "done", "done"))
    assert await fetch(toy_database, "select n, times from tally order by n") == [
        (n, 1) for n in (10, 11, 20, 21, 30, 31)
    ]
    assert len(await fetch(toy_database, "select distinct event_id from outbox")) == 6
