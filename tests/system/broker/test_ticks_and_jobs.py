"""Ticks and jobs on the real Postgres: one process at a time, and work that goes on after a restart."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.clock import RealClock, machine_now
from chfw_common.runtime.database import Database
from chfw_common.runtime.jobs import jobs_tick, start_job
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.service import JobKind, JobStep, Now, Service, Tick, TickResult, Tx
from chfw_common.runtime.ticks import TickRunner, run_tick
from tests.support.toy import NAME, emitted, toy_topic
from tests.support.waiting import eventually, running

if TYPE_CHECKING:
    from tests.support.stands import Stand  # noqa: F401 - the plugin's fixtures

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]

TOPIC = toy_topic("toy.ticked")
LATER = timedelta(hours=1)


async def due_until_tallied(tx: Tx, now: Instant) -> Instant | None:
    return now if await tx.fetchval("select count(*) from tally") == 0 else None


def runners(database: Database, *ticks: Tick) -> list[TickRunner]:
    return [TickRunner(Service(NAME, ticks=ticks), database, Metrics(NAME, ())) for _ in range(2)]


async def test_of_two_runners_one_acts(toy_database: Database) -> None:
    inside, leave = asyncio.Event(), asyncio.Event()

    async def run(tx: Tx, _now: Now) -> TickResult:
        inside.set()
        await leave.wait()
        await tx.execute("insert into tally values (1, 1)")
        return TickResult([emitted(TOPIC, 1)])

    tick = Tick("act", run, due_until_tallied)
    one, other = runners(toy_database, tick)
    first = asyncio.create_task(one.call(tick, machine_now))
    await inside.wait()
    assert not (await other.call(tick, machine_now)).ran, "another process holds the tick"
    leave.set()
    assert (await first).ran
    assert not (await other.call(tick, machine_now)).ran, "what was due is done"
    async with toy_database.transaction() as tx:
        assert await tx.fetchval("select count(*) from outbox") == 1


async def test_many_runners_at_once_act_once(toy_database: Database) -> None:
    acted = 0

    async def run(tx: Tx, now: Now) -> TickResult:
        nonlocal acted
        if await due_until_tallied(tx, now()) is not None:
            await tx.execute("insert into tally values (1, 1)")
            acted += 1
        return TickResult()

    tick = Tick("act", run, due_until_tallied)
    both = runners(toy_database, tick)
    await asyncio.gather(*(runner.call(tick, machine_now) for runner in both * 10))
    assert acted == 1


async def test_a_tick_that_fails_leaves_nothing_behind_and_stops_no_other(toy_database: Database) -> None:
    """It is called again after a while, with an alarm until it succeeds."""
    broken, calls, others = True, 0, 0

    async def run(tx: Tx, _now: Now) -> TickResult:
        nonlocal calls
        calls += 1
        await tx.execute("insert into tally values (1, 1)")
        if broken:
            raise ZeroDivisionError
        return TickResult()

    async def run_other(_tx: Tx, _now: Now) -> TickResult:
        nonlocal others
        others += 1
        return TickResult()

    async def always(_tx: Tx, now: Instant) -> Instant:
        return now

    tick, other = Tick("act", run, due_until_tallied), Tick("other", run_other, always, timedelta(milliseconds=1))
    metrics = Metrics(NAME, ())
    one = TickRunner(Service(NAME, ticks=[tick, other]), toy_database, metrics)

    def alarmed() -> bool:
        return metrics.registry.get_sample_value("chfw_alarm", {"kind": "tick"}) == 1

    async def often_failed() -> bool:
        return calls >= 4 and others >= 10 and alarmed()

    async def mended() -> bool:
        return not alarmed()

    async with running(*(run_tick(one, each, RealClock(), Wake()) for each in (tick, other))):
        await eventually(often_failed)
        async with toy_database.transaction() as tx:
            assert await tx.fetchval("select count(*) from tally") == 0
            assert await tx.fetchval("select failures from tick_failure where tick = 'act'") >= 3
        broken = False
        await eventually(mended)
    async with toy_database.transaction() as tx:
        assert await tx.fetchval("select count(*) from tally") == 1
        assert await tx.fetchval("select count(*) from tick_failure") == 0


async def test_nothing_is_done_before_it_is_due(toy_database: Database) -> None:
    start = machine_now()

    async def run(_tx: Tx, _now: Now) -> TickResult:
        return TickResult()

    async def due(_tx: Tx, _now: Instant) -> Instant:
        return start + LATER

    tick = Tick("act", run, due)
    (one, _) = runners(toy_database, tick)
    assert not (await one.call(tick, lambda: start + LATER - timedelta(microseconds=1))).ran
    assert (await one.call(tick, lambda: start + LATER)).ran
    assert await one.next_due(start) == start + LATER


@pytest.mark.parametrize(("relays_last", "woken"), [(False, [1, 2, 3]), (True, [3])])
async def test_the_relay_is_woken_after_each_call_or_after_the_last(
    toy_database: Database, relays_last: bool, woken: list[int]
) -> None:
    calls, done = 0, asyncio.Event()
    seen: list[tuple[int, int]] = []

    class Noting(Wake):
        def lanes(self, lanes: Iterable[int]) -> None:
            seen.extend((calls, lane) for lane in lanes)

    async def run(_tx: Tx, _now: Now) -> TickResult:
        nonlocal calls
        if calls == 3:
            return TickResult()
        calls += 1
        return TickResult([emitted(TOPIC, calls)], more=True)

    async def due(_tx: Tx, now: Instant) -> Instant | None:
        if calls < 3:
            return now
        done.set()
        return None

    tick = Tick("act", run, due, relays_last=relays_last)
    (one, _) = runners(toy_database, tick)
    async with running(run_tick(one, tick, RealClock(), Noting())):
        await done.wait()
    assert seen == [(call, TOPIC.lane) for call in woken]


async def test_the_events_of_each_call_have_ids_of_their_own(toy_database: Database) -> None:
    async def run(_tx: Tx, _now: Now) -> TickResult:
        return TickResult([emitted(TOPIC, 1), emitted(TOPIC, 1)])

    tick = Tick("act", run, due_until_tallied)
    (one, _) = runners(toy_database, tick)
    for _ in range(3):
        await one.call(tick, machine_now)
    async with toy_database.transaction() as tx:
        assert await tx.fetchval("select count(distinct event_id) from outbox") == 6


class CountTo:
    """A job that tallies one number a step and dies where it is told to."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.dies_at = dies_at
        self.kind = JobKind("count", self.step)

    async def step(self, tx: Tx, args: dict[str, Any], cursor: dict[str, Any], _now: Now) -> JobStep:
        at: int = cursor.get("at", 0)
        if at == args["to"]:
            return JobStep(None)
        await tx.execute("insert into tally values ($1, 1)", at)
        if at == self.dies_at:
            raise ZeroDivisionError
        return JobStep({"at": at + 1}, [emitted(TOPIC, at)])


async def test_a_job_goes_on_where_it_was_after_a_restart(toy_database: Database) -> None:
    now = machine_now()
    async with toy_database.transaction() as tx:
        assert await start_job(tx, "count", "the first", {"to": 12}, now)
        assert not await start_job(tx, "count", "the first", {"to": 99}, now), "the same job is one job"
    dying = jobs_tick([CountTo(dies_at=7).kind])
    (before, _) = runners(toy_database, dying)
    for _ in range(7):
        await before.call(dying, machine_now)
    with pytest.raises(ZeroDivisionError):
        await before.call(dying, machine_now)
    healthy = jobs_tick([CountTo().kind])
    (after, _) = runners(toy_database, healthy)

    async def done() -> bool:
        async with toy_database.transaction() as tx:
            return bool(await tx.fetchval("select state = 'done' from job"))

    async with running(run_tick(after, healthy, RealClock(), Wake())):
        await eventually(done)
    async with toy_database.transaction() as tx:
        assert [row["n"] for row in await tx.fetch("select n from tally order by n")] == list(range(12))
        assert await tx.fetchval("select steps from job") == 13
        assert await tx.fetchval("select count(distinct event_id) from outbox") == 12
        assert await tx.fetchval("select done_at is not null from job")
    assert await after.next_due(now) is None
