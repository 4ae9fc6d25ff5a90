"""Events that cannot be sent, and partitions that cannot be written: the lane goes on, on both brokers."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from chfw_common.runtime import gauges, sending
from chfw_common.runtime.clock import RealClock, machine_now
from chfw_common.runtime.errors import EventTooLargeError, TransientError
from chfw_common.runtime.held import HeldPartitions, run_held
from chfw_common.runtime.kept import Headers
from chfw_common.runtime.outbox import write_outbox
from chfw_common.runtime.relay import Relay, run_relay
from chfw_common.runtime.repeats import Repeated
from chfw_common.runtime.sending import Producer
from chfw_common.runtime.service import EVENT_BYTES, Outgoing, Service
from chfw_common.topology import BULK_LANE, CONTROL_LANE, Topic
from tests.support.toy import NAME, ToyHappened, emitted, key_of
from tests.support.waiting import eventually, running

if TYPE_CHECKING:
    from tests.support.stands import Stand

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]

IDLE = timedelta(milliseconds=5)
BROKER_BYTES = 1_048_588
"""What a broker takes in one record unless it is told otherwise."""
RAW = """
insert into outbox (lane, topic, partition, key, event_id, event_type, payload, event_time, written_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
"""


class Meddler:
    """A producer some of whose partitions do not answer, and which refuses what a broker would refuse."""

    def __init__(self, producer: Producer, away: Iterable[int] = (), *, blocks: bool = False) -> None:
        self._producer = producer
        self.away = set(away)
        self.blocks = blocks

    async def send(
        self, topic: str, partition: int, key: bytes, value: bytes, headers: Headers
    ) -> "asyncio.Future[Any]":
        """Hand over what is neither away nor too large."""
        nothing: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if partition in self.away:
            # A client whose buffer for the partition is full lets nobody hand over more.
            return await nothing if self.blocks else nothing
        if len(value) > BROKER_BYTES:
            nothing.set_exception(MessageSizeTooLargeError())
            return nothing
        return await self._producer.send(topic, partition, key, value, headers)

    async def discard(self) -> None:
        """Pass on."""
        await self._producer.discard()


def wait_less(monkeypatch: pytest.MonkeyPatch, *, timeout: timedelta, grace: timedelta) -> None:
    monkeypatch.setitem(sending.PATIENCE, BULK_LANE, sending.Patience(timeout, grace))


def held(stand: "Stand", producer: Producer, lane: int = BULK_LANE) -> HeldPartitions:
    return HeldPartitions(NAME, lane, stand.database, producer, stand.metrics)


async def write(stand: "Stand", numbers: Iterable[int], topic: Topic | None = None) -> None:
    async with stand.database.transaction() as tx:
        await write_outbox(tx, [emitted(topic or stand.topic, n) for n in numbers], f"{numbers}", machine_now())


async def write_raw(stand: "Stand", topic: Topic, n: int, size: int, partition: int | None = None) -> None:
    """Put an event into the outbox as no code of ours would."""
    out = emitted(topic, n)
    payload = b'{"n":%d,"more":"%s"}' % (n, b"x" * size)
    async with stand.database.transaction() as tx:
        await tx.execute(
            RAW,
            topic.lane,
            topic.name,
            out.partition if partition is None else partition,
            out.key,
            uuid4(),
            topic.event.TYPE,
            payload,
            machine_now(),
        )


async def numbers_in(stand: "Stand", topic: Topic, partition: int) -> list[int]:
    return [int(record.key or b"") for record in await stand.broker.log(topic, partition)]


async def waiting(stand: "Stand") -> int:
    return int((await stand.fetch("select count(*) from outbox"))[0][0])


async def empty(stand: "Stand") -> bool:
    return await waiting(stand) == 0 and await stand.fetch("select * from held_partition") == []


def of_partition(topic: Topic, partition: int, numbers: Iterable[int]) -> list[int]:
    return [n for n in numbers if emitted(topic, n).partition == partition]


async def both_run(relay: Relay, apart: HeldPartitions) -> None:
    await asyncio.gather(run_relay(relay, asyncio.Event(), RealClock(), IDLE), run_held(apart, relay.held, RealClock()))


@pytest.mark.parametrize("blocks", [False, True])
async def test_a_partition_that_cannot_be_written_stops_no_other(
    stand: "Stand", monkeypatch: pytest.MonkeyPatch, blocks: bool
) -> None:
    """The others of its lane go on, what was written meanwhile too; then its own events come, each in its order."""
    wait_less(monkeypatch, timeout=timedelta(seconds=3), grace=timedelta(seconds=1))
    first, second = (Meddler(stand.broker.producer(), {2}, blocks=blocks) for _ in range(2))
    relay, apart = stand.relay(BULK_LANE, first), held(stand, second)
    before, during = range(100), range(100, 700)
    await write(stand, before)

    async def only_the_held_wait() -> bool:
        rows = await stand.fetch("select distinct partition from outbox")
        return rows == [(2,)] and len(await numbers_in(stand, stand.topic, 1)) >= len(
            of_partition(stand.topic, 1, [*before, *during])
        )

    async with running(both_run(relay, apart)):
        await write(stand, during)
        await eventually(only_the_held_wait)
        assert await stand.fetch("select topic, partition from held_partition") == [(stand.topic.name, 2)]
        first.away.clear()
        second.away.clear()
        await eventually(lambda: empty(stand))
        await write(stand, range(700, 800))
        await eventually(lambda: empty(stand))
    for partition in range(4):
        found = await numbers_in(stand, stand.topic, partition)
        wanted = of_partition(stand.topic, partition, range(800))
        assert list(dict.fromkeys(found)) == wanted, "an event is missing, or came before an earlier one"


async def test_a_backlog_of_a_partition_that_is_away_hides_no_other(
    stand: "Stand", monkeypatch: pytest.MonkeyPatch
) -> None:
    """More events of it wait than one batch takes, so nothing in the batch shows that the broker is there."""
    wait_less(monkeypatch, timeout=timedelta(milliseconds=200), grace=timedelta(milliseconds=100))
    producer = Meddler(stand.broker.producer(), {2})
    relay = stand.relay(BULK_LANE, producer)
    backlog, others = of_partition(stand.topic, 2, range(4_000))[:700], of_partition(stand.topic, 1, range(100))
    await write(stand, backlog)
    await write(stand, others)

    async def others_are_out() -> bool:
        return len(await numbers_in(stand, stand.topic, 1)) == len(others)

    async with running(both_run(relay, held(stand, producer))):
        await eventually(others_are_out)
        producer.away.clear()
        await eventually(lambda: empty(stand))
    assert list(dict.fromkeys(await numbers_in(stand, stand.topic, 2))) == backlog


async def test_a_broker_that_is_away_altogether_holds_nothing(stand: "Stand", monkeypatch: pytest.MonkeyPatch) -> None:
    wait_less(monkeypatch, timeout=timedelta(milliseconds=100), grace=timedelta(milliseconds=50))
    producer = Meddler(stand.broker.producer(), range(4))
    relay = stand.relay(BULK_LANE, producer)
    await write(stand, range(40))
    for _ in range(3):
        with pytest.raises(TransientError):
            await relay.relay_once()
    assert await stand.fetch("select * from held_partition") == []
    assert await waiting(stand) == 40
    producer.away.clear()
    assert await relay.relay_once() == 40
    assert await waiting(stand) == 0


async def test_an_event_too_large_for_the_broker_is_parked_and_later_ones_leave(stand: "Stand") -> None:
    """1.2 MB in the control lane: no later stop of any release could leave, its neighbours went again and again."""
    control = stand.new_topic(lane=CONTROL_LANE)
    await stand.broker.create(control)
    producers = [stand.broker.producer() for _ in range(2)]
    if stand.broker.name == "local":
        producers = [Meddler(producer) for producer in producers]
    relay, apart = stand.relay(CONTROL_LANE, producers[0]), held(stand, producers[1], CONTROL_LANE)
    await write(stand, range(20), control)
    await write_raw(stand, control, 20, 1_200_000)
    await write(stand, range(20, 40), control)
    async with running(both_run(relay, apart)):
        await eventually(lambda: empty(stand))
        await write(stand, range(40, 60), control)
        await eventually(lambda: empty(stand))
    for partition in range(4):
        found = await numbers_in(stand, control, partition)
        assert list(dict.fromkeys(found)) == of_partition(control, partition, range(60))
        assert len(found) <= 2 * len(set(found)), "its neighbours went out again and again"
    parked = await stand.fetch("select topic, partition, key, length(payload) > 1200000, error from parked_event")
    assert [row[:4] for row in parked] == [(control.name, emitted(control, 20).partition, b"20", True)]
    assert "MessageSizeTooLarge" in parked[0][4]


async def test_an_event_that_cannot_be_handed_over_is_parked_after_three_tries(stand: "Stand") -> None:
    """A partition that the topic does not have: neither a server that is away nor an answer of the broker."""
    producer = stand.broker.producer()
    relay, apart = stand.relay(BULK_LANE, producer), held(stand, stand.broker.producer())
    await write(stand, range(10))
    await write_raw(stand, stand.topic, 10, 10, partition=17)
    async with running(both_run(relay, apart)):
        await eventually(lambda: empty(stand))
    assert await stand.fetch("select partition from parked_event") == [(17,)]
    found = [n for partition in range(4) for n in await numbers_in(stand, stand.topic, partition)]
    assert sorted(set(found)) == list(range(10))


async def test_an_event_beyond_the_limit_is_never_written(stand: "Stand") -> None:
    """A programming error: the transaction fails, and the lane has no event that no broker takes."""

    class Wordy(ToyHappened):
        texts: tuple[str, ...]

    async def happen() -> None:
        async with stand.database.transaction() as tx:
            await tx.execute("insert into tally values (1, 1)")
            big = Wordy(n=1, texts=("x" * 1_000,) * (EVENT_BYTES // 1_000))
            await write_outbox(tx, [Outgoing(stand.topic, key_of(0, 4), 0, big)], "a test", machine_now())

    with pytest.raises(EventTooLargeError):
        await happen()
    assert await waiting(stand) == 0
    assert await stand.tally() == {}


async def test_the_largest_event_that_is_allowed_leaves(stand: "Stand") -> None:
    size = EVENT_BYTES - len(b'{"n":1,"more":""}')
    await write_raw(stand, stand.topic, 1, size)
    assert await stand.relay(BULK_LANE, stand.broker.producer()).relay_once() == 1
    assert len(await stand.broker.log(stand.topic, emitted(stand.topic, 1).partition)) == 1


async def test_alarms_say_what_waits_for_a_person(stand: "Stand") -> None:
    def alarms() -> list[float | None]:
        return [
            stand.metrics.registry.get_sample_value("chfw_alarm", {"kind": kind})
            for kind in ("parked_event", "held_partition")
        ]

    async def read() -> None:
        async with stand.database.transaction() as tx:
            await gauges.read_all(tx, Service(NAME), stand.metrics, machine_now(), Repeated())

    await read()
    assert alarms() == [0, 0]
    async with stand.database.transaction() as tx:
        now = machine_now()
        await tx.execute(
            """insert into held_partition (lane, topic, partition, error, refused, tries, held_at, next_try_at)
               values (1, 'x', 0, 'away', false, 0, $1, $1)""",
            now,
        )
        await tx.execute(
            """insert into parked_event (lane, topic, partition, key, event_id, event_type, payload, event_time,
                                         written_at, error, parked_at)
               values (1, 'x', 0, 'k', $2, 't', 'p', $1, $1, 'too large', $1)""",
            now,
            uuid4(),
        )
    await read()
    assert alarms() == [1, 1]
