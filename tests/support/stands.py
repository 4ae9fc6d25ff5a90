"""A stand: one broker, one database, the toy service, and members that come and go (a pytest plugin)."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import pytest
import structlog

from chfw_common.runtime.clock import RealClock
from chfw_common.runtime.consume import ConsumeCore, Settled
from chfw_common.runtime.database import Database, open_database
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.positions import LogState, Look
from chfw_common.runtime.relay import Relay
from chfw_common.runtime.sending import Producer
from chfw_common.runtime.service import Record, Service
from chfw_common.runtime.source import SourceContext
from chfw_common.topology import Topic
from tests.support.brokers import Broker, InMemory, RealKafka, RunningSource
from tests.support.toy import NAME, Toy, key_of, toy_headers, toy_id, toy_topic
from tests.support.waiting import eventually

Offers = Callable[[Sequence[Record]], Iterable[Sequence[Record]]]
_numbers = count()


class Meddled(SourceContext):
    """A source whose client is faulty: what it offers and where it starts can be changed."""

    offers: Offers = staticmethod(lambda records: [records])
    start_at: int | None = None

    async def settle(self, topic: Topic, partition: int, records: Sequence[Record]) -> Settled:
        """Settle what the meddler makes of the records."""
        settled = [await SourceContext.settle(self, topic, partition, offer) for offer in self.offers(records)]
        return settled[-1]

    async def positions(
        self, topic: Topic, partitions: Sequence[int], look: Look
    ) -> tuple[dict[int, int], Mapping[int, LogState]]:
        """Where the meddler wants to start."""
        found, logs = await SourceContext.positions(self, topic, partitions, look)
        return (found if self.start_at is None else dict.fromkeys(found, self.start_at)), logs


class Stand:
    """What a test of the pipe stands on."""

    def __init__(self, broker: Broker, database: Database) -> None:
        self.broker = broker
        self.database = database
        self.toy = Toy()
        self.metrics = Metrics(NAME, ())
        self.number = next(_numbers)
        self.topic = self.new_topic()

    def new_topic(self, **wanted: Any) -> Topic:
        """A topic nobody else has; not yet made."""
        return toy_topic(f"toy.happened.{next(_numbers)}", **wanted)

    def service(self, *topics: Topic) -> Service:
        """The toy, consuming the topics."""
        return self.toy.service(topics or [self.topic])

    def context(
        self, *topics: Topic, service: Service | None = None, kind: type[SourceContext] = SourceContext
    ) -> SourceContext:
        """What a source needs."""
        core = ConsumeCore(service or self.service(*topics), self.database, self.metrics)
        return kind(core, self.database, self.metrics, RealClock(), Wake())

    def meddled(self, offers: Offers | None = None, start_at: int | None = None) -> SourceContext:
        """The same with a faulty client."""
        context = self.context(kind=Meddled)
        assert isinstance(context, Meddled)
        context.start_at = start_at
        if offers is not None:
            context.offers = offers
        return context

    def source(self, context: SourceContext | None = None, *topics: Topic, member: str = "0") -> RunningSource:
        """A member of the toy's group."""
        return self.broker.source(
            context or self.context(*topics), topics or [self.topic], f"toy-{self.number}", member
        )

    def relay(self, lane: int, producer: Producer) -> Relay:
        """A relay of the toy's outbox."""
        return Relay(NAME, lane, self.database, producer, self.metrics)

    async def put(self, numbers: Iterable[int], partition: int = 0, topic: Topic | None = None) -> None:
        """Append one good record for each number."""
        topic = topic or self.topic
        key = key_of(partition, topic.partitions)
        for n in numbers:
            await self.broker.append(topic, partition, key, b'{"n":%d}' % n, toy_headers(topic, toy_id(n)))

    async def fetch(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Rows of the toy's database."""
        async with self.database.transaction() as tx:
            return [tuple(row) for row in await tx.fetch(query, *arguments)]

    async def next(self, partition: int = 0, topic: Topic | None = None) -> int:
        """The offset that is due."""
        rows = await self.fetch(
            "select next from consumer_offset where topic = $1 and partition = $2",
            (topic or self.topic).name,
            partition,
        )
        return int(rows[0][0]) if rows else -1

    async def reached(self, offset: int, partition: int = 0, topic: Topic | None = None) -> None:
        """Wait until everything before the offset is settled."""

        async def there() -> bool:
            return await self.next(partition, topic) >= offset

        await eventually(there)

    async def taken(self, partition: int = 0, topic: Topic | None = None) -> list[int]:
        """The numbers handled in a partition, in the order of handling."""
        rows = await self.fetch(
            "select n from taken where topic = $1 and partition = $2 order by seq",
            (topic or self.topic).name,
            partition,
        )
        return [n for (n,) in rows]

    async def tally(self) -> dict[int, int]:
        """How often each number was counted."""
        return dict(await self.fetch("select n, times from tally order by n"))

    async def parked(self) -> list[tuple[int, str, str]]:
        """(offset, kind, error) of what is parked."""
        return await self.fetch('select "offset", kind, error from parked_record order by topic, partition, "offset"')

    def stopped_series(self) -> set[tuple[str, str]]:
        """(topic, partition) of each series of the gauge of stopped partitions."""
        samples = [s for family in self.metrics.registry.collect() for s in family.samples]
        found = [s.labels for s in samples if s.name == "chfw_partition_stopped" and s.value == 1]
        return {(labels["topic"], labels["partition"]) for labels in found}

    @property
    def alarmed(self) -> bool:
        """Whether the position alarm is on."""
        return self.metrics.registry.get_sample_value("chfw_alarm", {"kind": "position"}) == 1


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> Iterator[None]:
    """Logs as JSON: drawing a traceback for people takes longer than most tests."""
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    )
    yield
    structlog.reset_defaults()


@pytest.fixture(params=["local", "kafka"])
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """Each of the two brokers in turn."""
    if request.param == "local":
        yield InMemory()
        return
    kafka = RealKafka(request.getfixturevalue("kafka_server"))
    yield kafka
    await kafka.close()


@pytest.fixture
async def toy_database(toy_dsn: str) -> AsyncIterator[Database]:
    """The toy's database, connected."""
    database = await open_database(toy_dsn, NAME)
    yield database
    await database.close()


@pytest.fixture
async def stand(broker: Broker, toy_database: Database) -> Stand:
    """A broker and a database with the toy's topic made."""
    made = Stand(broker, toy_database)
    await broker.create(made.topic)
    return made
