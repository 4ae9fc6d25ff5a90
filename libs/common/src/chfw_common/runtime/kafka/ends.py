"""Where the logs begin and end: how far behind a consumer is, and whether it can go on, seen from outside."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.kafka.closing import ended
from chfw_common.runtime.kafka.identity import topic_ids
from chfw_common.runtime.positions import LogState
from chfw_common.topology import Topic

LIMIT = 10.0


class EndOffsets:
    """Asks the broker; connects at the first question."""

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
        self._consumer: AIOKafkaConsumer | None = None

    async def read(self, topics: Iterable[Topic]) -> dict[tuple[str, int], int]:
        """(topic, partition) -> the offset after its last record. Raises TransientError when the broker is away."""
        wanted = [TopicPartition(topic.name, partition) for topic in topics for partition in range(topic.partitions)]
        try:
            async with asyncio.timeout(LIMIT):
                found = await (await self._connected()).end_offsets(wanted)
        except (KafkaError, TimeoutError, OSError) as error:
            raise TransientError(f"the broker cannot be asked: {error}") from error
        return {(tp.topic, tp.partition): end for tp, end in found.items()}

    async def logs(self, wanted: Mapping[str, Sequence[int]]) -> dict[tuple[str, int], LogState]:
        """(topic, partition) -> its log, for the partitions that the cluster has. Raises TransientError."""
        try:
            async with asyncio.timeout(LIMIT):
                consumer = await self._connected()
                ids = await topic_ids(consumer._client, sorted(wanted))  # noqa: SLF001 - no public way
                there = [
                    TopicPartition(t, p) for t, found in wanted.items() if t in ids for p in found if p < ids[t][1]
                ]
                begins, ends = await consumer.beginning_offsets(there), await consumer.end_offsets(there)
        except (KafkaError, TimeoutError, OSError) as error:
            raise TransientError(f"the broker cannot be asked: {error}") from error
        return {(tp.topic, tp.partition): LogState(ids[tp.topic][0], begins[tp], ends[tp]) for tp in there}

    async def close(self) -> None:
        """Close the connection."""
        if self._consumer is not None:
            await ended(self._consumer.stop())
            self._consumer = None

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(**self._access.client(), request_timeout_ms=5_000)
            try:
                await consumer.start()
            except BaseException:
                await ended(consumer.stop())
                raise
            self._consumer = consumer
        return self._consumer
