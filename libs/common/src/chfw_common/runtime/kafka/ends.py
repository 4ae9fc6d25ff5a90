"""Where the logs end: how far behind a consumer is, seen from outside."""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from chfw_common.runtime.errors import TransientError
from chfw_common.topology import Topic

LIMIT = 10.0


class EndOffsets:
    """Asks the broker; connects at the first question."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
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

    async def close(self) -> None:
        """Close the connection."""
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, request_timeout_ms=5_000)
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            self._consumer = consumer
        return self._consumer
