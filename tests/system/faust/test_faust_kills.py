"""The Faust source on a real Kafka, killed at random: nothing lost, nothing doubled. And the runs that must fail."""

import asyncio
import random
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer

from chfw_common.runtime.audit import Finding, audit
from chfw_common.runtime.clock import stopwatch
from chfw_common.runtime.database import Database
from chfw_common.runtime.kafka.topics import create_topics
from chfw_common.topology import HUB_PARTITIONS, Key, Topic
from tests.support.killing import Watched, killed_at_random
from tests.support.toy import key_of, toy_headers, toy_id, toy_topic
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.servers import RunningKafka

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]

RECORDS = 50_000
KILLS = 20


class Run:
    """One topic, one sink, one program that dies."""

    def __init__(self, name: str, bootstrap: str, dsn: str, database: Database) -> None:
        self.topic: Topic = toy_topic(f"toy.{name}", key=Key.HUB)
        self.bootstrap = bootstrap
        self.database = database
        self._dsn = dsn
        self.sent = 0

    def program(self, *more: str) -> Watched:
        """The runner, not yet started."""
        arguments = ("--dsn", self._dsn, "--bootstrap", self.bootstrap, "--topic", self.topic.name)
        return Watched(("-m", "tests.support.faust_runner", *arguments, "--group", f"g.{self.topic.name}", *more))

    async def feed(self, total: int, seconds: float) -> None:
        """Produce the records over a while, so that kills meet a flow."""
        keys = [key_of(partition, HUB_PARTITIONS) for partition in range(HUB_PARTITIONS)]
        headers = toy_headers(self.topic, toy_id(0))
        producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, enable_idempotence=True, acks="all", max_batch_size=131072
        )
        await producer.start()
        try:
            begun, burst = stopwatch(), 500
            for first in range(0, total, burst):
                ahead = begun + seconds * first / total - stopwatch()
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
                    for n in range(first, min(first + burst, total))
                ]
                await asyncio.gather(*sent)
                self.sent = first + len(sent)
        finally:
            await producer.stop()

    async def settled(self) -> int:
        """Records below the positions."""
        async with self.database.transaction() as tx:
            return int(await tx.fetchval("select coalesce(sum(next), 0) from consumer_offset"))

    async def counts(self) -> tuple[int, int]:
        """(numbers that were counted, the times of all of them together)."""
        async with self.database.transaction() as tx:
            row = await tx.fetchrow("select count(*), coalesce(sum(times), 0) from tally")
        return int(row[0]), int(row[1])

    async def findings(self) -> list[Finding]:
        """The contiguity audit."""
        async with self.database.transaction() as tx:
            return await audit(tx, "toy", self.topic.name)


@pytest.fixture
async def run(
    request: pytest.FixtureRequest, kafka_server: "RunningKafka", toy_dsn: str, toy_database: Database
) -> Run:
    made = Run(request.node.name.removeprefix("test_"), kafka_server.bootstrap, toy_dsn, toy_database)
    await create_topics(made.bootstrap, [made.topic])
    return made


def report(name: str, program: Watched, run: Run, seconds: float) -> None:
    """The figures, for whoever runs pytest with -s or reads the report of a failure."""
    print(  # noqa: T201
        f"\n{name}: {run.sent} records, {program.kills} kills, {program.ended} ended by themselves, "
        f"{program.repeats} repeats dropped, {program.said['hole']} holes refused, {seconds:.1f} s"
    )


async def test_twenty_kills_lose_and_double_nothing(run: Run) -> None:
    begun, program = stopwatch(), run.program()
    feeding = asyncio.create_task(run.feed(RECORDS, seconds=25.0))

    async def never() -> bool:
        return False

    async def all_settled() -> bool:
        return await run.settled() == RECORDS

    async with killed_at_random(program, random.Random(2025), KILLS, never):
        await feeding
        await eventually(all_settled, limit=60.0)
    report("Faust killed", program, run, stopwatch() - begun)
    assert program.kills == KILLS, "".join(program.errors[-30:])
    assert program.said["hole"] == 0
    assert await run.findings() == []
    assert await run.counts() == (RECORDS, RECORDS)
