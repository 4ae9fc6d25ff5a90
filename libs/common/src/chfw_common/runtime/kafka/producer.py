"""The producer behind the outbox: idempotent, acks=all, thrown away after any failure."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer

from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.kafka.closing import ended
from chfw_common.runtime.kept import Headers

BATCH_BYTES = 128 * 1024
REQUEST_TIMEOUT_MS = 15_000
"""How long one request may take: less than the relay waits for a batch."""


class KafkaProducer:
    """One aiokafka producer at a time; made on first use and after each discard."""

    def __init__(self, access: KafkaAccess, client_id: str) -> None:
        self._access = access
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def send(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> "asyncio.Future[Any]":
        """Hand over one record; the future ends when all replicas in sync have it."""
        producer = self._producer
        if producer is None:
            # Several partitions are sent to side by side, by one producer.
            async with self._starting:
                producer = self._producer = self._producer or await self._start()
        return await producer.send(topic, value, key, partition=partition, headers=list(headers))  # type: ignore[no-any-return]

    async def discard(self) -> None:
        """Throw the producer away with all it has in flight: what became of that is unknown, the rows stay.

        Returns within seconds, also when the broker hangs, and raises nothing of the producer.
        """
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # The public stop() waits for a flush that may never come. So the parts are ended one by one: the sender takes
        # nothing more, what is in flight fails with its connection, then the sender can end.
        producer._closed = True  # noqa: SLF001
        sender = producer._sender.sender_task  # noqa: SLF001
        if sender is not None:
            sender.cancel()
        await ended(producer.client.close())
        if sender is not None:
            await ended(sender)

    async def stop(self) -> None:
        """Flush and close."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def _start(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._access.client(),
            client_id=self._client_id,
            enable_idempotence=True,
            acks="all",
            max_batch_size=BATCH_BYTES,
            max_request_size=4 * 1024 * 1024,
            linger_ms=2,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        try:
            await producer.start()
        except BaseException:
            await ended(producer.stop())
            raise
        return producer
