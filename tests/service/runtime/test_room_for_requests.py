"""A backlog of records leaves connections to requests and ticks."""

import asyncio

from chfw_common.runtime.clock import RealClock
from chfw_common.runtime.consume import ConsumeCore
from chfw_common.runtime.database import open_database
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.positions import LogState
from chfw_common.runtime.service import Batch, Consume, Now, Outcome, Record, Service, Tx
from chfw_common.runtime.source import SourceContext
from chfw_common.topology import Key, Topic
from tests.support.toy import NAME, ToyHappened, key_of, toy_headers, toy_id, toy_topic

PARTITIONS = range(12)
CONNECTIONS, AT_ONCE = 4, 2


class Slow:
    """A handler that waits to be let go."""

    def __init__(self) -> None:
        self.inside = self.done = 0
        self.full, self.go = asyncio.Event(), asyncio.Event()

    async def handle(self, tx: Tx, batch: Batch[ToyHappened], now: Now) -> Outcome:  # noqa: ARG002
        self.inside += 1
        if self.inside == AT_ONCE:
            self.full.set()
        assert self.inside <= AT_ONCE
        await self.go.wait()
        self.inside -= 1
        self.done += 1
        return Outcome()


def record(topic: Topic, partition: int) -> Record:
    key = key_of(partition, topic.partitions)
    return Record(topic.name, partition, 0, key, b'{"n":1}', toy_headers(topic, toy_id(partition)))


async def test_a_backlog_in_every_partition_leaves_connections_to_requests(toy_dsn: str) -> None:
    database = await open_database(toy_dsn, NAME, connections=CONNECTIONS)
    topic, slow = toy_topic("toy.backlog", key=Key.HUB), Slow()
    service, metrics = Service(NAME, {topic: Consume(slow.handle)}), Metrics(NAME, ())
    core = ConsumeCore(service, database, metrics)
    context = SourceContext(core, database, metrics, RealClock(), Wake(), asyncio.Semaphore(AT_ONCE))

    async def look() -> dict[int, LogState]:
        return {partition: LogState("t", 0, 1) for partition in PARTITIONS}

    await context.positions(topic, PARTITIONS, look)
    settling = [asyncio.create_task(context.settle(topic, n, [record(topic, n)])) for n in PARTITIONS]
    await slow.full.wait()
    async with asyncio.timeout(5):
        async with database.transaction() as one, database.transaction() as other:
            assert await one.fetchval("select 1") == await other.fetchval("select 1") == 1
    slow.go.set()
    await asyncio.gather(*settling)
    assert slow.done == len(PARTITIONS)
    await database.close()
