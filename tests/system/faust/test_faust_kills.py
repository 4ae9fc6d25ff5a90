"""The Faust source on a real Kafka, killed at random: nothing lost, nothing doubled. And the runs that must fail."""

import asyncio
import random
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from chfw_common.runtime import offsets
from chfw_common.runtime.clock import stopwatch
from chfw_common.runtime.contiguity import Finding, check_contiguity
from chfw_common.runtime.database import Database
from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.kafka.topics import create_topics
from chfw_common.topology import HUB_PARTITIONS, Key, Topic
from tests.support.killing import Watched, kafka_arguments, kill_at_random
from tests.support.toy import key_of, toy_headers, toy_id, toy_topic
from tests.support.waiting import eventually, running

if TYPE_CHECKING:
    from tests.support.servers import RunningKafka

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]

RECORDS = 50_000
KILLS = 20


class Run:
    """One topic, one sink, one program that dies."""

    def __init__(self, name: str, access: KafkaAccess, dsn: str, database: Database) -> None:
        self.topic: Topic = toy_topic(f"toy.{name}", key=Key.HUB)
        self.access = access
        self.database = database
        self._dsn = dsn
        self.sent = 0

    def program(self, *more: str) -> Watched:
        """The runner, not yet started."""
        arguments = ("--dsn", self._dsn, *kafka_arguments(self.access), "--topic", self.topic.name)
        return Watched((*arguments, "--group", f"g.{self.topic.name}", *more))

    async def begin_at_zero(self) -> None:
        """What a source does that reads its positions from Postgres."""
        async with self.database.transaction() as tx:
            await offsets.begin_at_zero(tx, self.topic.name, "any", range(HUB_PARTITIONS))

    async def feed(self, count: int, seconds: float = 0.0) -> None:
        """Produce so many more records over a while, so that kills meet a flow."""
        keys = [key_of(partition, HUB_PARTITIONS) for partition in range(HUB_PARTITIONS)]
        headers = toy_headers(self.topic, toy_id(0))
        producer = AIOKafkaProducer(**self.access.client(), enable_idempotence=True, acks="all", max_batch_size=131072)
        await producer.start()
        try:
            begun, burst, before = stopwatch(), 500, self.sent
            for first in range(before, before + count, burst):
                ahead = begun + seconds * (first - before) / count - stopwatch()
                if ahead > 0:
                    await asyncio.sleep(ahead)  # a pace
                sent = [
                    await producer.send(
                        self.topic.name,
                        b'{"n":%d}' % n,
                        keys[n % HUB_PARTITIONS],
                        partition=n % HUB_PARTITIONS,
                        headers=headers,
                    )
                    for n in range(first, min(first + burst, before + count))
                ]
                await asyncio.gather(*sent)
                self.sent = first + len(sent)
        finally:
            await producer.stop()

    async def settled(self) -> int:
        """Records below the positions."""
        async with self.database.transaction() as tx:
            return int(await tx.fetchval("select coalesce(sum(next), 0) from consumer_offset"))

    async def positions(self) -> dict[int, int]:
        """Partition -> the offset that is due."""
        async with self.database.transaction() as tx:
            return {p: due for p, (due, _) in (await offsets.read_next(tx, self.topic.name)).items()}

    async def all_at(self, offset: int, but: int = -1) -> bool:
        """Whether every partition (but one) is due at the offset."""
        positions = await self.positions()
        return len(positions) == HUB_PARTITIONS and {due for p, due in positions.items() if p != but} == {offset}

    async def counts(self) -> tuple[int, int]:
        """(numbers that were counted, the times of all of them together)."""
        async with self.database.transaction() as tx:
            row = await tx.fetchrow("select count(*), coalesce(sum(times), 0) from tally")
        return int(row[0]), int(row[1])

    async def has_lost(self) -> bool:
        """Whether records below the positions were never applied (counted first: both grow)."""
        settled = await self.settled()
        return settled > (await self.counts())[0]

    async def findings(self) -> list[Finding]:
        """The contiguity audit."""
        async with self.database.transaction() as tx:
            return await check_contiguity(tx, "toy", self.topic.name)


@pytest.fixture
async def run(
    request: pytest.FixtureRequest, kafka_server: "RunningKafka", toy_dsn: str, toy_database: Database
) -> Run:
    made = Run(request.node.name.removeprefix("test_"), kafka_server.access, toy_dsn, toy_database)
    await create_topics(made.access, [made.topic])
    return made


def report(name: str, program: Watched, run: Run, seconds: float) -> None:
    """The figures, for whoever runs pytest with -s or reads the report of a failure."""
    print(  # noqa: T201
        f"\n{name}: {run.sent} records, {program.kills} kills, {program.ended} ended by themselves, "
        f"{program.repeats} repeats dropped, {program.said['hole']} holes refused, {seconds:.1f} s"
    )


async def test_twenty_kills_lose_and_double_nothing(run: Run) -> None:
    begun, program = stopwatch(), run.program()

    async def all_settled() -> bool:
        return await run.settled() == RECORDS

    async with program.opened(), running(run.feed(RECORDS, seconds=25.0)) as (feeding,):
        await kill_at_random(program, random.Random(2025), KILLS, most=60)
        await program.start()
        await feeding
        await eventually(all_settled, limit=60.0)
    report("Faust killed", program, run, stopwatch() - begun)
    assert (program.kills, program.ended) == (KILLS, 0)
    assert program.said["hole"] == 0
    assert await run.findings() == []
    assert await run.counts() == (RECORDS, RECORDS)


async def test_a_log_that_begins_beyond_the_position_stops_that_partition_alone(run: Run) -> None:
    program = run.program()
    admin = AIOKafkaAdminClient(**run.access.client())
    await admin.start()
    try:
        async with program.opened():
            await run.feed(640)
            await program.start()
            await eventually(lambda: run.all_at(20))
            await program.kill()
            await run.feed(640)
            await admin.delete_records({TopicPartition(run.topic.name, 5): RecordsToDelete(before_offset=30)})
            await program.start()
            await run.feed(640)
            await eventually(lambda: run.all_at(60, but=5))
            await program.kill()
    finally:
        await admin.close()
    assert [line["partition"] for line in program.lines if line["kind"] == "stopped"] == [5]
    assert (await run.positions())[5] == 20
    await assert_nothing_is_lost_in_silence(run)


async def assert_nothing_is_lost_in_silence(run: Run) -> None:
    """Every record below the positions was applied, once; the audit agrees."""
    settled = await run.settled()
    assert await run.findings() == []
    assert await run.counts() == (settled, settled)


async def test_control_four_actors_are_refused(run: Run) -> None:
    """Actors overtake each other at every await; faust#606 loses records this way."""
    begun, program = stopwatch(), run.program("--concurrency", "4")
    await run.feed(20_000)
    async with program.opened():
        await kill_at_random(program, random.Random(4), starts=4, most=400)
    report("control, concurrency 4", program, run, stopwatch() - begun)
    assert program.said["hole"] >= 1
    assert program.ended >= 1, "a hole is to end the process"
    await assert_nothing_is_lost_in_silence(run)


async def test_control_positions_of_the_group_are_refused(run: Run) -> None:
    """Faust commits what its agent has taken, which is more than what is in Postgres."""
    begun, program = stopwatch(), run.program("--positions-from-group")
    await run.begin_at_zero()
    await run.feed(20_000)
    async with program.opened():
        await kill_after_faust_has_committed(run, program)
        await run.feed(3_200)
        for _ in range(2):
            await program.start()
            await program.ends()
    report("control, positions of the group", program, run, stopwatch() - begun)
    assert program.said["hole"] >= 2, "it cannot go on: what the group has passed is never offered again"
    assert await run.settled() < run.sent
    await assert_nothing_is_lost_in_silence(run)


async def test_control_the_audit_finds_what_a_trusting_core_loses(run: Run) -> None:
    """The same without the hole rule: records are gone, and the audit says which."""
    begun, program = stopwatch(), run.program("--positions-from-group", "--trusting")
    await run.begin_at_zero()
    await run.feed(20_000)
    async with program.opened():
        await kill_after_faust_has_committed(run, program)
        await run.feed(3_200)
        await program.start()
        await eventually(run.has_lost)
    findings = await run.findings()
    report("control, no hole rule", program, run, stopwatch() - begun)
    lost = await run.settled() - (await run.counts())[0]
    print(f"lost {lost} records; the audit has {len(findings)} findings, such as: {findings[:1]}")  # noqa: T201
    assert lost > 0
    assert any("settled by nobody" in finding.message for finding in findings)


async def kill_after_faust_has_committed(run: Run, program: Watched) -> None:
    """Kill it while no handler has ended yet, once the group's offsets are past the positions in Postgres."""
    admin = AIOKafkaAdminClient(**run.access.client())
    await admin.start()
    try:
        await program.start("hang")

        async def ahead() -> bool:
            found = await admin.list_consumer_group_offsets(f"g.{run.topic.name}")
            return any(meta.offset > 0 for meta in found.values())

        await eventually(ahead)
        program.kills += 1
        await program.kill()
    finally:
        await admin.close()
