"""The producer behind the outbox: idempotent, acks=all, thrown away after any failure."""

import asyncio
import contextlib
from typing import Any

from aiokafka import AIOKafkaProducer

from chfw_common.runtime.kept import Headers

BATCH_BYTES = 128 * 1024


class KafkaProducer:
    """One aiokafka producer at a time; made on first use and after each discard."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._bootstrap = bootstrap
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
        """Throw the producer away with all it has in flight: what became of that is unknown, the rows stay."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # The public stop() waits for a flush that may never come, so the sender goes first.
        sender = producer._sender.sender_task  # noqa: SLF001
        if sender is not None:
            sender.cancel()
            producer._message_accumulator.fail_all(ConnectionError("discarded"))  # noqa: SLF001
            # A sender in the middle of a request would pass its cancellation on to the one that stops the producer.
            await asyncio.wait([sender], timeout=2.0)
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(2.0):
                await producer.stop()

    async def stop(self) -> None:
        """Flush and close."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def _start(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            enable_idempotence=True,
            acks="all",
            max_batch_size=BATCH_BYTES,
            max_request_size=4 * 1024 * 1024,
            linger_ms=2,
            request_timeout_ms=15_000,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer
