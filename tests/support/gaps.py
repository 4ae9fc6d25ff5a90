"""Logs with offsets that hold no record: markers of transactions, and records that compaction has removed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.topology import Topic
from tests.support.toy import key_of, toy_headers, toy_id
from tests.support.waiting import eventually

COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "1",
    "min.cleanable.dirty.ratio": "0.0001",
    "delete.retention.ms": "0",
}


@contextlib.asynccontextmanager
async def admin_of(access: KafkaAccess) -> AsyncIterator[AIOKafkaAdminClient]:
    """An administrator of the broker."""
    admin = AIOKafkaAdminClient(**access.client())
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def put_in_transactions(access: KafkaAccess, topic: Topic, numbers: range, partition: int = 0) -> None:
    """One transaction for each number: a record, then a marker. An empty range writes nothing."""
    producer = AIOKafkaProducer(**access.client(), transactional_id=f"gap-{topic.name}")
    await producer.start()
    try:
        key = key_of(partition, topic.partitions)
        for n in numbers:
            async with producer.transaction():
                await producer.send_and_wait(
                    topic.name, b'{"n":%d}' % n, key, partition=partition, headers=toy_headers(topic, toy_id(n))
                )
    finally:
        await producer.stop()


async def create_with_hole(access: KafkaAccess, topic: Topic, partition: int = 0) -> None:
    """A topic whose log lacks offset 1 for good: records 0 to 3 were written, the broker has compacted 1 away."""
    async with admin_of(access) as admin:
        cleaner = ConfigResource(ConfigResourceType.BROKER, "1", {"log.cleaner.backoff.ms": "100"})
        await admin.alter_configs([cleaner])
        await admin.create_topics([NewTopic(topic.name, topic.partitions, 1, topic_configs=COMPACTED)])
    first, same = keys_of(partition, topic.partitions)
    for n, key in enumerate((first, same, same, same)):
        await append(access, topic, partition, n, key)
        await asyncio.sleep(0.01)  # segments are closed by time

    async def compacted() -> bool:
        return 1 not in await offsets_of(access, topic, partition)

    await eventually(compacted, limit=60.0)


def keys_of(partition: int, partitions: int) -> tuple[bytes, bytes]:
    """Two keys that belong to the partition."""
    first = key_of(partition, partitions)
    return first, key_of(partition, partitions, after=int(first))


async def append(access: KafkaAccess, topic: Topic, partition: int, n: int, key: bytes) -> None:
    """One record."""
    producer = AIOKafkaProducer(**access.client())
    await producer.start()
    try:
        headers = toy_headers(topic, toy_id(n))
        await producer.send_and_wait(topic.name, b'{"n":%d}' % n, key, partition=partition, headers=headers)
    finally:
        await producer.stop()


async def offsets_of(access: KafkaAccess, topic: Topic, partition: int) -> list[int]:
    """The offsets in the log that hold a record."""
    tp = TopicPartition(topic.name, partition)
    consumer = AIOKafkaConsumer(**access.client(), enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        found: list[int] = []
        while await consumer.position(tp) < end:
            found += [record.offset for record in (await consumer.getmany(tp, timeout_ms=500)).get(tp, [])]
        return found
    finally:
        await consumer.stop()
