"""A decision whose epoch jumps, or is another's twin: an anomaly with an alarm, and never a state (I11).

Found in an attack: any producer wrote a decision `revoked` of epoch 999, and governance's own epoch 5 was then ignored.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg
import pytest

from chfw_cli import lines
from chfw_cli.chosen import choose
from chfw_cli.simulated import COMPOSITIONS
from chfw_common.events.command import CommandKind
from chfw_common.events.fenced import RolloutFenced
from chfw_common.kernel.rollout import Mode
from chfw_common.runtime.accepting import Decision
from chfw_common.runtime.database import Database, open_database
from chfw_common.runtime.gauges import read_all
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.repeats import Repeated
from chfw_common.runtime.service import Service
from chfw_common.topology import RELEASE_NOTIFIED, ROLLOUT_DECISION, Topic
from chfw_notifier.store import releases
from chfw_scheduler.store.releases import own_release, share_release
from tests.service.scheduler.stand import Stand, hubs_of
from tests.support.logs import Log
from tests.support.release import NOW, RELEASE, decision, notice
from tests.support.settings import nowhere
from tests.support.times import still
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.servers", "tests.support.databases"]

STATE = {
    "scheduler": "select epoch, mode from decision",
    "instruction": "select epoch, mode from decision",
    "notifier": "select epoch, mode from release",
    "device-sim": "select distinct min_epoch, 'fenced' from fence",
}
"""What each reader of decisions makes of them."""


@dataclass
class Reader:
    """A service that reads a topic."""

    service: Service
    database: Database
    log: Log

    async def hears(self, *events: Any) -> int:
        """Settle records; gives how many were parked."""
        return (await self.log.settle(still(NOW), *events)).parked

    async def state(self) -> tuple[Any, ...]:
        """What it takes for true."""
        async with self.database.looking() as connection:
            rows = await connection.fetch(STATE[self.service.name])
        assert len(rows) == 1
        return tuple(rows[0])

    async def alarmed(self) -> bool:
        """Whether the alarm is raised, as the gauges have it."""
        metrics = Metrics(self.service.name, self.service.consumes)
        async with self.database.transaction() as tx:
            await read_all(tx, self.service, metrics, NOW, Repeated())
        return metrics.registry.get_sample_value("chfw_alarm", {"kind": "out_of_line"}) == 1


@contextlib.asynccontextmanager
async def reading(dsn: str, name: str) -> AsyncIterator[Reader]:
    """A service that has heard no decision yet."""
    kind, build = COMPOSITIONS[name]
    service = build(kind(**nowhere()))
    database = await open_database(dsn, name)
    try:
        yield Reader(service, database, Log(service, database, ROLLOUT_DECISION, RELEASE.encode()))
    finally:
        await database.close()


@pytest.fixture
async def scheduler(chfw_dsn: str) -> AsyncIterator[Reader]:
    """The scheduler, which has heard no decision yet."""
    async with reading(chfw_dsn, "scheduler") as made:
        yield made


@pytest.fixture(params=sorted(STATE))
async def reader(request: pytest.FixtureRequest, chfw_dsn: str) -> AsyncIterator[Reader]:
    """Each reader of decisions in turn; it knows the release and decisions 1 to 4."""
    async with reading(chfw_dsn, request.param) as made:
        if request.param == "notifier":
            async with made.database.transaction() as tx:
                await releases.add(tx, notice())
        known = [decision(1, Mode.PILOT, min_epoch=0), decision(2, Mode.PAUSE), decision(3, Mode.PILOT, min_epoch=2)]
        assert await made.hears(*known, decision(4, Mode.RUN, min_epoch=2)) == 0
        yield made


def expected(service: str, epoch: int, mode: Mode, fence: int) -> tuple[Any, ...]:
    return (fence, "fenced") if service == "device-sim" else (epoch, mode.value)


async def test_a_forged_epoch_is_no_state_and_what_governance_says_next_is(reader: Reader) -> None:
    name = reader.service.name
    assert await reader.state() == expected(name, 4, Mode.RUN, 2)
    assert await reader.hears(decision(999, Mode.REVOKED)) == 1
    assert await reader.state() == expected(name, 4, Mode.RUN, 5), (
        "an edge obeys the next decision in line, whatever it is"
    )
    assert await reader.alarmed()
    assert await reader.hears(decision(5, Mode.RUN, min_epoch=2)) == 0
    assert await reader.state() == expected(name, 5, Mode.RUN, 5)
    assert await reader.hears(decision(6, Mode.STOP)) == 0
    assert await reader.state() == expected(name, 6, Mode.STOP, 6)
    assert await reader.alarmed(), "until a person has dropped it"
    async with reader.database.transaction() as tx:
        await tx.execute("delete from parked_record")
    assert not await reader.alarmed()


@pytest.mark.parametrize("epoch", [4, 2], ids=["the last", "an earlier one"])
async def test_two_decisions_of_one_epoch_are_an_anomaly_and_the_first_counts(reader: Reader, epoch: int) -> None:
    before = await reader.state()
    assert await reader.hears(decision(epoch, Mode.REVOKED)) == 1
    assert (await reader.state())[1] == before[1]
    assert await reader.alarmed()
    async with reader.database.looking() as connection:
        assert f"number {epoch} was taken from another record" in await connection.fetchval(
            "select error from parked_record"
        )


async def test_the_same_decision_again_is_no_anomaly(reader: Reader) -> None:
    """Records are delivered at least once, and a person may hand one in again."""
    before = await reader.state()
    assert await reader.hears(decision(4, Mode.RUN, min_epoch=2), decision(2, Mode.PAUSE)) == 0
    assert await reader.state() == before
    assert not await reader.alarmed()


@pytest.mark.parametrize("epoch", [0, -1, 2**31, -(2**31) - 1, 2**200])
async def test_no_epoch_is_too_odd_to_be_parked(reader: Reader, epoch: int) -> None:
    before = await reader.state()
    odd = decision(1, Mode.REVOKED).model_copy(update={"epoch": epoch, "min_epoch": epoch})
    assert await reader.hears(odd) == 1
    assert (await reader.state())[1] == before[1]


async def test_what_was_overtaken_is_taken_in_its_order(reader: Reader) -> None:
    """Epoch 5 was refused by the broker and sent again by a person, after 6: then 6 is handed in again."""
    later = decision(6, Mode.STOP)
    assert await reader.hears(later, decision(5, Mode.RUN, min_epoch=2)) == 1
    assert (await reader.state())[1] == expected(reader.service.name, 5, Mode.RUN, 5)[1]
    async with reader.database.transaction() as tx:
        await tx.execute("delete from parked_record")
    assert await reader.hears(later) == 0
    assert await reader.state() == expected(reader.service.name, 6, Mode.STOP, 6)
    assert not await reader.alarmed()


async def test_a_person_gives_up_what_is_lost_and_goes_on(scheduler: Reader, chfw_dsn: str) -> None:
    """Epoch 3 is lost for good. Who gave it up, and why, is kept; if it comes after all, it is a record out of line."""
    later = decision(4, Mode.STOP)
    assert await scheduler.hears(decision(1, Mode.RUN, min_epoch=0), decision(2, Mode.PAUSE), later) == 1
    owner = await asyncpg.connect(chfw_dsn)
    try:
        (found,) = await lines.find(owner, choose(None, None, None))
        assert (found.service, found.number, found.missing) == ("scheduler", 4, [3])
        await lines.give_up(owner, [found], Decision("the log was cut", "Jo Bloggs", NOW))
        row = await owner.fetchrow("select * from scheduler.line_taken where number = 3")
        assert (row["given_up_by"], row["given_up_because"], row["digest"]) == ("Jo Bloggs", "the log was cut", None)
    finally:
        await owner.close()
    assert await scheduler.hears(later) == 0
    assert await scheduler.state() == (4, "stop")
    assert await scheduler.hears(decision(3, Mode.RUN, min_epoch=2)) == 1
    assert await scheduler.state() == (4, "stop")


def log_of(stand: Stand, topic: Topic) -> Log:
    return Log(stand.service, stand.database, topic, RELEASE.encode())


@pytest.fixture
async def stand(chfw_dsn: str) -> AsyncIterator[Stand]:
    """A scheduler."""
    made = Stand(await open_database(chfw_dsn, "scheduler"))
    yield made
    await made.database.close()


@pytest.mark.parametrize(
    ("topic", "event"),
    [
        (ROLLOUT_DECISION, decision(3, Mode.STOP)),
        (ROLLOUT_DECISION, decision(3, Mode.RUN, min_epoch=2)),
        (ROLLOUT_DECISION, decision(1, Mode.STOP)),
        (RELEASE_NOTIFIED, notice(version=3, cpl={"firmware": "NEW", "predecessors": ("OLD",), "state": "Withdrawn"})),
    ],
    ids=["a stop after a gap", "a gap in which a halt was", "a twin", "a notice after a gap"],
)
async def test_while_a_record_is_out_of_line_the_release_stands_still(stand: Stand, topic: Topic, event: Any) -> None:
    """It may be a halt, or come after one that was lost. A halt waits for nobody, so what was sent is called back."""
    first, second = hubs_of(3, 2)
    log = log_of(stand, ROLLOUT_DECISION)
    notices = log_of(stand, RELEASE_NOTIFIED)
    await stand.armed([first])
    # `armed` hands the notice and the first decision to the handlers, past the log: the lines know them.
    await stand.load_hubs([second], parties=("elec", None))
    settled = await (log if topic is ROLLOUT_DECISION else notices).settle(stand.clock, event)
    assert settled.parked == 1
    await stand.tick("call_back")
    assert set(await stand.commands(CommandKind.CANCEL)) == {first}
    assert await stand.fetch("select epoch, mode from decision") == [(1, "run")]
    assert await stand.tick("claim") == 0
    await stand.database.pool.execute("delete from scheduler.parked_record")
    assert await stand.fetch("select * from out_of_line") == []


async def test_a_claim_and_a_record_out_of_line_exclude_each_other(stand: Stand) -> None:
    """As a claim and a decision do: who commits first is seen by the other."""
    await stand.enrolled(hubs_of(3, 1))
    await stand.decide(1, Mode.RUN)
    log = log_of(stand, ROLLOUT_DECISION)
    async with stand.database.transaction() as claiming:
        await share_release(claiming, RELEASE)
        settling = asyncio.create_task(log.settle(stand.clock, decision(3, Mode.STOP)))
        await eventually(partial(waits_for_a_lock, stand))
        assert not settling.done()
    assert (await settling).parked == 1


async def waits_for_a_lock(stand: Stand) -> bool:
    return bool(
        await stand.database.pool.fetchval(
            "select exists (select from pg_locks where locktype = 'advisory' and not granted"
            " and database = (select oid from pg_database where datname = current_database()))"
        )
    )


async def test_an_edge_that_stands_still_lets_the_next_decision_pass(chfw_dsn: str) -> None:
    """What is sent under the next decision in line has its epoch, so a forged one stops an edge no longer than that."""
    async with reading(chfw_dsn, "device-sim") as edges:
        assert await edges.hears(decision(1, Mode.RUN, min_epoch=0)) == 0
        assert await edges.hears(decision(999, Mode.REVOKED)) == 1
        async with edges.database.transaction() as tx:
            rows = await tx.fetch("select payload from outbox where topic = $1 order by id", RolloutFenced.TOPIC)
        said = [RolloutFenced.model_validate_json(row["payload"]).min_epoch for row in rows]
        assert said == [0] * (len(said) // 2) + [2] * (len(said) // 2), "each edge says so twice"
        assert await edges.state() == (2, "fenced")


async def test_own_release_is_what_a_claim_waits_for(stand: Stand) -> None:
    """The control of the test above: the lock that it looks for is the one of claims."""
    async with stand.database.transaction() as deciding:
        await own_release(deciding, RELEASE)
        waiting = asyncio.create_task(claim(stand))
        await eventually(partial(waits_for_a_lock, stand))
        assert not waiting.done()
    await waiting


async def claim(stand: Stand) -> None:
    async with stand.database.transaction() as tx:
        await share_release(tx, RELEASE)


async def test_what_is_parked_itself_is_not_missing(scheduler: Reader, chfw_dsn: str) -> None:
    """And nobody gives up a thousand numbers for one record: it was never true."""
    late = [decision(4, Mode.PAUSE), decision(6, Mode.RUN, min_epoch=4), decision(2**31 - 1, Mode.REVOKED)]
    assert await scheduler.hears(decision(1, Mode.RUN, min_epoch=0), *late) == 3
    owner = await asyncpg.connect(chfw_dsn)
    try:
        *true, forged = await lines.find(owner, choose(None, None, None))
        assert [one.missing for one in true] == [[2, 3], [2, 3, 5]]
        with pytest.raises(lines.TooManyError):
            await lines.give_up(owner, [*true, forged], Decision("lost", "Jo Bloggs", NOW))
        assert await owner.fetchval("select count(*) from scheduler.line_taken where digest is null") == 0
        await lines.give_up(owner, true, Decision("lost", "Jo Bloggs", NOW))
    finally:
        await owner.close()
    assert await scheduler.hears(*late) == 1
    assert await scheduler.state() == (6, "run")
