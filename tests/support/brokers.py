"""The two brokers behind one face, so that one suite can be run on both."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.kafka.identity import topic_ids
from chfw_common.runtime.kafka.producer import KafkaProducer
from chfw_common.runtime.kafka.source import KafkaSource
from chfw_common.runtime.kafka.topics import create_topics
from chfw_common.runtime.kept import Headers
from chfw_common.runtime.sending import Producer
from chfw_common.runtime.service import Record
from chfw_common.runtime.source import SourceContext
from chfw_common.simulation.broker import LocalBroker, LocalProducer
from chfw_common.simulation.source import LocalSource
from chfw_common.topology import Topic
from tests.support.servers import RunningKafka
from tests.support.waiting import eventually


class RunningSource(Protocol):
    """What both sources can do."""

    async def run(self) -> None:
        """Consume until cancelled."""
        ...


class Broker(Protocol):
    """What a test asks of a broker."""

    name: str

    async def create(self, *topics: Topic) -> None:
        """Make topics."""

    async def recreate(self, topic: Topic) -> None:
        """Delete a topic and make it again."""

    async def append(
        self, topic: Topic, partition: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        """Append one record."""

    async def truncate(self, topic: Topic, partition: int, begin: int) -> None:
        """Delete the records before an offset."""

    async def log(self, topic: Topic, partition: int) -> list[Record]:
        """Everything in a partition."""
        ...

    def source(self, context: SourceContext, topics: Sequence[Topic], group: str, member: str) -> RunningSource:
        """A member of a consumer group."""
        ...

    def producer(self) -> Producer:
        """What a relay sends by."""
        ...

    async def outage(self) -> None:
        """The broker dies and comes back with its data."""

    async def close(self) -> None:
        """Let go of every connection."""


class InMemory:
    """The local broker."""

    name = "local"

    def __init__(self) -> None:
        self.broker = LocalBroker(())

    async def create(self, *topics: Topic) -> None:
        """Make topics."""
        for topic in topics:
            self.broker.create(topic)

    async def recreate(self, topic: Topic) -> None:
        """Delete a topic and make it again."""
        self.broker.create(topic)

    async def append(
        self, topic: Topic, partition: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        """Append one record."""
        self.broker.append(topic.name, partition, key, value, headers)

    async def truncate(self, topic: Topic, partition: int, begin: int) -> None:
        """Delete the records before an offset."""
        self.broker.truncate(topic.name, partition, begin)

    async def log(self, topic: Topic, partition: int) -> list[Record]:
        """Everything in a partition."""
        state = self.broker.state(topic.name, partition)
        return self.broker.read(topic.name, partition, state.begin, state.end - state.begin)

    def source(self, context: SourceContext, topics: Sequence[Topic], group: str, member: str) -> RunningSource:
        """A member of a consumer group."""
        return LocalSource(context, topics, broker=self.broker, group=group, instance=member)

    def producer(self) -> Producer:
        """What a relay sends by."""
        return LocalProducer(self.broker)

    async def outage(self) -> None:
        """It has neither a process that dies nor a disk that keeps."""
        raise NotImplementedError("the local broker lives and dies with its process")

    async def close(self) -> None:
        """Nothing is open."""


class RealKafka:
    """Apache Kafka. Members have no instance id, so that one that leaves is replaced at once."""

    name = "kafka"

    def __init__(self, server: RunningKafka) -> None:
        self._server = server
        self._appender: AIOKafkaProducer | None = None
        self._producers: list[KafkaProducer] = []

    @property
    def access(self) -> KafkaAccess:
        """How the administrator reaches it."""
        return self._server.access

    async def create(self, *topics: Topic) -> None:
        """Make topics."""
        await create_topics(self.access, topics)

    async def recreate(self, topic: Topic) -> None:
        """Delete a topic and make it again."""
        admin = AIOKafkaAdminClient(**self.access.client())
        await admin.start()
        try:
            await admin.delete_topics([topic.name])

            async def gone() -> bool:
                return not await topic_ids(admin._client, [topic.name])  # noqa: SLF001 - as the runtime asks

            await eventually(gone)
        finally:
            await admin.close()
        await create_topics(self.access, [topic])

    async def append(
        self, topic: Topic, partition: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        """Append one record."""
        if self._appender is None:
            self._appender = AIOKafkaProducer(**self.access.client(), enable_idempotence=True, acks="all")
            await self._appender.start()
        await self._appender.send_and_wait(topic.name, value, key, partition=partition, headers=list(headers))

    async def truncate(self, topic: Topic, partition: int, begin: int) -> None:
        """Delete the records before an offset."""
        admin = AIOKafkaAdminClient(**self.access.client())
        await admin.start()
        try:
            await admin.delete_records({TopicPartition(topic.name, partition): RecordsToDelete(before_offset=begin)})
        finally:
            await admin.close()

    async def log(self, topic: Topic, partition: int) -> list[Record]:
        """Everything in a partition."""
        tp = TopicPartition(topic.name, partition)
        consumer = AIOKafkaConsumer(**self.access.client(), enable_auto_commit=False, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign([tp])
            end = (await consumer.end_offsets([tp]))[tp]
            found: list[Record] = []
            while await consumer.position(tp) < end:
                got = (await consumer.getmany(tp, timeout_ms=500)).get(tp, [])
                found += [Record(r.topic, r.partition, r.offset, r.key, r.value, tuple(r.headers)) for r in got]
            return found
        finally:
            await consumer.stop()

    def source(self, context: SourceContext, topics: Sequence[Topic], group: str, member: str) -> RunningSource:  # noqa: ARG002
        """A member of a consumer group."""
        return KafkaSource(context, topics, access=self.access, group=group)

    def producer(self) -> Producer:
        """What a relay sends by."""
        producer = KafkaProducer(self.access, "toy")
        self._producers.append(producer)
        return producer

    async def outage(self) -> None:
        """SIGKILL, and a start with the same data."""
        await asyncio.to_thread(self._server.kill)
        await asyncio.to_thread(self._server.start)

    async def close(self) -> None:
        """Let go of every connection."""
        for producer in self._producers:
            await producer.discard()
        if self._appender is not None:
            await self._appender.stop()


class LosesAcknowledgements:
    """A producer whose first batches arrive, while their acknowledgements do not."""

    def __init__(self, producer: Producer, lost: int) -> None:
        self._producer = producer
        self.left = lost
        self.discarded = 0

    async def send(
        self, topic: str, partition: int, key: bytes, value: bytes, headers: Headers
    ) -> "asyncio.Future[Any]":
        """Hand over the record; say that it failed once it has arrived."""
        sent = await self._producer.send(topic, partition, key, value, headers)
        if self.left == 0:
            return sent
        self.left -= 1
        await sent
        failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        failed.set_exception(ConnectionError("the acknowledgement was lost"))
        return failed

    async def discard(self) -> None:
        """Count, and pass on."""
        self.discarded += 1
        await self._producer.discard()
