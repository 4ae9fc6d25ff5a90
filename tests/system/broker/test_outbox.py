"""The outbox on both brokers: nothing is lost, what goes out again keeps its id, no lane waits for another."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chfw_common.runtime.clock import RealClock, machine_now
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.outbox import write_outbox
from chfw_common.runtime.relay import run_relay
from chfw_common.runtime.service import Consume, Record, Service
from chfw_common.topology import BULK_LANE, CONTROL_LANE, Topic
from tests.support.brokers import LosesAcknowledgements
from tests.support.toy import emitted
from tests.support.waiting import eventually, running

if TYPE_CHECKING:
    from tests.support.stands import Stand

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]


async def write(stand: "Stand", topic: Topic, numbers: Iterable[int], cause: str = "a test") -> None:
    async with stand.database.transaction() as tx:
        await write_outbox(tx, [emitted(topic, n) for n in numbers], cause, machine_now())


async def published(stand: "Stand", topic: Topic) -> list[Record]:
    return [record for partition in range(4) for record in await stand.broker.log(topic, partition)]


def ids(records: Iterable[Record]) -> list[bytes | None]:
    return [dict(record.headers)["ce_id"] for record in records]


async def waiting(stand: "Stand") -> int:
    return int((await stand.fetch("select count(*) from outbox"))[0][0])


async def test_rows_are_relayed_in_order_and_deleted(stand: "Stand") -> None:
    await write(stand, stand.topic, range(100))
    assert await stand.relay(BULK_LANE, stand.broker.producer()).relay_once() == 100
    assert await waiting(stand) == 0
    for partition in range(4):
        numbers = [int(record.key or b"") for record in await stand.broker.log(stand.topic, partition)]
        assert numbers == sorted(numbers)
        assert numbers
    assert len(set(ids(await published(stand, stand.topic)))) == 100


async def test_lost_acknowledgements_repeat_the_events_under_the_same_ids(stand: "Stand") -> None:
    await write(stand, stand.topic, range(20))
    producer = LosesAcknowledgements(stand.broker.producer(), lost=20)
    relay = stand.relay(BULK_LANE, producer)
    with pytest.raises((TransientError, ConnectionError)):
        await relay.relay_once()
    assert producer.discarded == 1
    assert await waiting(stand) == 20
    first = ids(await published(stand, stand.topic))
    producer.left = 0
    assert await relay.relay_once() == 20
    assert await waiting(stand) == 0
    everything = ids(await published(stand, stand.topic))
    assert set(first) <= set(everything)
    assert len(set(everything)) == 20 < len(everything)


async def test_a_repeated_event_is_a_record_like_any_other_to_the_consumer(stand: "Stand") -> None:
    """At least once: the second copy has an offset of its own, so it is state that must absorb it."""
    await write(stand, stand.topic, [4])
    producer = LosesAcknowledgements(stand.broker.producer(), lost=1)
    relay = stand.relay(BULK_LANE, producer)
    with pytest.raises((TransientError, ConnectionError)):
        await relay.relay_once()
    await relay.relay_once()
    partition = emitted(stand.topic, 4).partition
    async with running(stand.source().run()):
        await stand.reached(2, partition)
    assert await stand.tally() == {4: 2}


async def test_two_relays_of_a_lane_keep_its_order(stand: "Stand") -> None:
    total = 1_200
    wakes = [asyncio.Event(), asyncio.Event()]
    relays = [stand.relay(BULK_LANE, stand.broker.producer()) for _ in wakes]
    idle = timedelta(milliseconds=5)

    async def empty() -> bool:
        return await waiting(stand) == 0

    works = (run_relay(relay, wake, RealClock(), idle) for relay, wake in zip(relays, wakes, strict=True))
    async with running(*works):
        for first in range(0, total, 100):
            await write(stand, stand.topic, range(first, first + 100), cause=f"call {first}")
        await eventually(empty)
    seen = 0
    for partition in range(4):
        numbers = [int(record.key or b"") for record in await stand.broker.log(stand.topic, partition)]
        assert numbers == sorted(numbers)
        seen += len(numbers)
    assert seen == total


class Stuck:
    """A producer whose broker never answers."""

    async def send(self, *_: Any) -> "asyncio.Future[Any]":
        """Nothing ever comes of it."""
        return asyncio.get_running_loop().create_future()

    async def discard(self) -> None:
        """Nothing to let go of."""


async def test_the_control_lane_does_not_wait_for_the_bulk_lane(stand: "Stand") -> None:
    control = stand.new_topic(lane=CONTROL_LANE)
    await stand.broker.create(control)
    await write(stand, stand.topic, range(50))
    await write(stand, control, range(3), cause="a decision")

    async def control_is_out() -> bool:
        return await stand.fetch("select count(*) from outbox where lane = 0") == [(0,)]

    stuck = stand.relay(BULK_LANE, Stuck())
    free = stand.relay(CONTROL_LANE, stand.broker.producer())
    idle = timedelta(milliseconds=5)
    async with running(
        run_relay(stuck, asyncio.Event(), RealClock(), idle), run_relay(free, asyncio.Event(), RealClock(), idle)
    ):
        await eventually(control_is_out)
    assert len(await published(stand, control)) == 3
    assert await waiting(stand) == 50


async def test_control_records_are_handled_while_bulk_handlers_are_busy(stand: "Stand") -> None:
    """Two consumers, as a live service has: the bulk one stands in its handler all the time."""
    control, free = stand.new_topic(lane=CONTROL_LANE), asyncio.Event()
    await stand.broker.create(control)
    entered = asyncio.Event()

    async def slow(tx: Any, batch: Any, now: Any) -> Any:
        entered.set()
        await free.wait()
        return await stand.toy.handle(tx, batch, now)

    bulk_context = stand.context(service=Service("toy", {stand.topic: Consume(slow)}))
    control_context = stand.context(control)
    bulk = stand.broker.source(bulk_context, [stand.topic], f"bulk-{stand.number}", "0")
    fast = stand.broker.source(control_context, [control], f"control-{stand.number}", "0")
    await stand.put(range(5))
    async with running(bulk.run(), fast.run()):
        await entered.wait()
        await stand.put(range(100, 103), topic=control)
        await stand.reached(3, topic=control)
        assert await stand.next() == 0
        free.set()
        await stand.reached(5)


async def test_the_broker_dies_and_comes_back(stand: "Stand", request: pytest.FixtureRequest) -> None:
    if stand.broker.name == "local":
        request.applymarker(pytest.mark.xfail(raises=NotImplementedError, strict=True, reason="it has no process"))
    wake, producer = asyncio.Event(), stand.broker.producer()

    async def empty() -> bool:
        return await waiting(stand) == 0

    async with running(
        stand.source().run(),
        run_relay(stand.relay(BULK_LANE, producer), wake, RealClock(), timedelta(milliseconds=20)),
    ):
        await write(stand, stand.topic, range(40), cause="before")
        await eventually(empty)
        outage = asyncio.create_task(stand.broker.outage())
        await write(stand, stand.topic, range(40, 80), cause="while it is away")
        await outage
        await eventually(empty)

        async def all_counted() -> bool:
            return set(await stand.tally()) == set(range(80))

        await eventually(all_counted)
    records = await published(stand, stand.topic)
    assert len(set(ids(records))) == 80
    assert sum((await stand.tally()).values()) == len(records)
