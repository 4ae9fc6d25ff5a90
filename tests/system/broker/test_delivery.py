"""What both brokers owe the consume core: order, repeats that do nothing, members that come and go, no holes."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from chfw_common.runtime.contiguity import check_contiguity
from chfw_common.runtime.positions import LogState
from chfw_common.runtime.service import Record
from tests.support.waiting import eventually, running

if TYPE_CHECKING:
    from tests.support.stands import Offers, Stand

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]


async def everything_once(stand: "Stand", numbers: Sequence[int]) -> None:
    assert await stand.tally() == dict.fromkeys(numbers, 1)
    async with stand.database.transaction() as tx:
        assert await check_contiguity(tx, "toy", stand.topic.name) == []


async def test_order_is_kept_per_partition(stand: "Stand") -> None:
    async with running(stand.source().run()):
        await stand.put(range(50), partition=0)
        await stand.put(range(100, 150), partition=3)
        await stand.reached(50, 0)
        await stand.reached(50, 3)
    assert await stand.taken(0) == list(range(50))
    assert await stand.taken(3) == list(range(100, 150))


async def test_the_same_offer_twice_is_taken_once(stand: "Stand") -> None:
    def twice(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        yield records
        yield records

    await stand.put(range(30))
    async with running(stand.source(stand.meddled(twice)).run()):
        await stand.reached(30)
    await everything_once(stand, range(30))


async def test_repeats_inside_an_offer_are_taken_once(stand: "Stand") -> None:
    """As after a rebalance: what was waiting comes once more, from the position that was due then."""

    def stutter(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        yield [*records[:7], *records[3:9], *records]

    await stand.put(range(20))
    async with running(stand.source(stand.meddled(stutter)).run()):
        await stand.reached(20)
    await everything_once(stand, range(20))


async def test_a_consumer_that_starts_again_at_zero_doubles_nothing(stand: "Stand") -> None:
    await stand.put(range(40))
    async with running(stand.source().run()):
        await stand.reached(40)
    await stand.put(range(40, 60))
    async with running(stand.source(stand.meddled(start_at=0)).run()):
        await stand.reached(60)
    assert await stand.taken() == list(range(60))
    await everything_once(stand, range(60))


async def test_a_restart_goes_on_where_it_was(stand: "Stand") -> None:
    for first in (0, 10, 20):
        await stand.put(range(first, first + 10))
        async with running(stand.source().run()):
            await stand.reached(first + 10)
    assert await stand.taken() == list(range(30))


async def test_members_come_and_go_while_records_flow(stand: "Stand") -> None:
    fed, enough = [0], asyncio.Event()
    offered: Counter[str] = Counter()

    async def feed() -> None:
        while not enough.is_set() or fed[0] % 4:
            await stand.put([fed[0]], partition=fed[0] % 4)
            fed[0] += 1
            await asyncio.sleep(0.001)  # a pace: the members are to meet a flow, not a heap

    def counted(member: str) -> "Offers":
        def count(records: Sequence[Record]) -> list[Sequence[Record]]:
            offered[member] += len(records)
            return [records]

        return count

    async def works(member: str, more_than: int) -> bool:
        return offered[member] > more_than

    async with running(stand.source(stand.meddled(counted("first")), member="first").run()):
        feeding = asyncio.create_task(feed())
        await eventually(lambda: works("first", 20))
        async with running(stand.source(stand.meddled(counted("second")), member="second").run()):
            await eventually(lambda: works("second", 50))
        before = offered["first"]
        await eventually(lambda: works("first", before + 50))
        enough.set()
        await feeding
        for partition in range(4):
            await stand.reached(fed[0] // 4, partition)
    for partition in range(4):
        assert await stand.taken(partition) == list(range(partition, fed[0], 4))
    await everything_once(stand, range(fed[0]))


async def test_a_record_settled_while_its_partition_is_taken_over_is_within_the_log(stand: "Stand") -> None:
    """Who had the partition before may be that late: the position must not seem to lie beyond the end of the log."""
    before = stand.context()
    await stand.put(range(3))
    async with running(stand.source(before).run()):
        await stand.reached(3)
    ((topic_id,),) = await stand.fetch(
        "select topic_id from consumer_offset where topic = $1 and partition = 0", stand.topic.name
    )

    async def look() -> dict[int, LogState]:
        seen = await stand.broker.log(stand.topic, 0)
        await stand.put([len(seen)])
        await before.settle(stand.topic, 0, (await stand.broker.log(stand.topic, 0))[len(seen) :])
        return {0: LogState(topic_id, 0, len(seen))}

    after = stand.context()
    starts, _ = await after.positions(stand.topic, [0], look)
    assert starts == {0: 3}
    assert not stand.alarmed
    async with running(stand.source(after).run()):
        await stand.put([4])
        await stand.reached(5)
    await everything_once(stand, range(5))


async def test_two_sources_that_believe_to_own_a_partition_take_everything_once(stand: "Stand") -> None:
    """A zombie: it settles what it fetched before its partition went to another."""
    first, second = stand.context(), stand.context()
    await stand.put(range(20))
    async with running(stand.source(first).run()):
        await stand.reached(20)
    records = await stand.broker.log(stand.topic, 0)
    settled = await asyncio.gather(
        *(context.settle(stand.topic, 0, records) for context in (first, second) for _ in range(3))
    )
    assert {one.next_offset for one in settled} == {20}
    await everything_once(stand, range(20))


async def test_what_comes_before_a_hole_is_settled(stand: "Stand") -> None:
    lost: list[int] = []

    def lossy(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        kept = [record for record in records if lost or record.offset != 10]
        lost.append(10)
        yield kept

    await stand.put(range(25))
    async with running(stand.source(stand.meddled(lossy)).run()):
        await stand.reached(25)
    assert await stand.fetch("select first, beyond from consumed_range order by first limit 1") == [(0, 10)]
    await everything_once(stand, range(25))


async def test_a_hole_is_refused_and_the_source_goes_back(stand: "Stand") -> None:
    lost: list[int] = []

    def lossy(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        if len(lost) < 2:
            lost.append(records[0].offset)
            yield records[1:] or records
        else:
            yield records

    await stand.put(range(25))
    async with running(stand.source(stand.meddled(lossy)).run()):
        await stand.reached(25)
    assert len(lost) == 2
    assert await stand.taken() == list(range(25))
    await everything_once(stand, range(25))
