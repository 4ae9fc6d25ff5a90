"""Sending events to the broker: the partitions of a batch side by side, so that one that cannot be written stops no
other, and the events of each in their order."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeAlias

from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from chfw_common.kernel.instants import Instant
from chfw_common.runtime import envelope
from chfw_common.runtime.kept import Headers
from chfw_common.runtime.transient import is_transient
from chfw_common.topology import BULK_LANE, CONTROL_LANE


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a batch waits: `timeout` for a broker that acknowledges nothing, `grace` for late partitions when others
    have been acknowledged."""

    timeout: timedelta
    grace: timedelta


PATIENCE = {
    CONTROL_LANE: Patience(timedelta(seconds=4), timedelta(seconds=1)),
    BULK_LANE: Patience(timedelta(seconds=20), timedelta(seconds=5)),
}
"""By lane. A relay that vanishes while it waits keeps its lane from others a second longer."""
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)

Place: TypeAlias = tuple[str, int]
"""A topic and one of its partitions."""


class Producer(Protocol):
    """What the relay needs of a broker. `send` returns once the record is handed over, or raises."""

    async def send(
        self, topic: str, partition: int, key: bytes, value: bytes, headers: Headers
    ) -> "asyncio.Future[Any]":
        """Hand over one record; the future ends when it is acknowledged."""
        ...

    async def discard(self) -> None:
        """Throw away whatever is in flight; the next `send` starts afresh."""
        ...


def place_of(row: Mapping[str, Any]) -> Place:
    """Where an event goes."""
    return row["topic"], row["partition"]


def is_too_large(error: BaseException) -> bool:
    """Whether the broker, or its client, refuses this very event and will refuse it again."""
    return isinstance(error, _TOO_LARGE)


def is_refusal(error: BaseException) -> bool:
    """Whether the events are at fault, not the broker: one of them is refused, or cannot even be handed over."""
    return is_too_large(error) or not (isinstance(error, KafkaError) or is_transient(error))


class Sender:
    """Sends the events of one service by one producer, and throws the producer away after any failure."""

    def __init__(self, service: str, lane: int, producer: Producer) -> None:
        self._service = service
        self._producer = producer
        self._patience = PATIENCE[lane]

    def may_be_idle(self, batches: int = 1) -> str:
        """How long Postgres may wait in a transaction that sends so many batches, as a setting of the session."""
        return f"{int(batches * self._patience.timeout.total_seconds()) + 1}s"

    async def together(self, rows: Iterable[Mapping[str, Any]], sent_at: Instant) -> dict[Place, BaseException]:
        """Send the events of several partitions; those of one keep their order. Gives what failed, by partition.

        All events of the other partitions are acknowledged. What became of those that failed is unknown.
        """
        groups: dict[Place, list[Mapping[str, Any]]] = {}
        for row in rows:
            groups.setdefault(place_of(row), []).append(row)
        tasks = {place: asyncio.ensure_future(self._in_order(group, sent_at)) for place, group in groups.items()}
        failed: dict[Place, BaseException] | None = None
        try:
            await self._acknowledged(tasks.values())
            failed = {place: error for place, task in tasks.items() if (error := _failure(task)) is not None}
        finally:
            if failed is None or failed:
                await self._producer.discard()
                for task in tasks.values():
                    task.cancel()
                await asyncio.gather(*tasks.values(), return_exceptions=True)
        return failed

    async def alone(self, row: Mapping[str, Any], sent_at: Instant) -> None:
        """Send one event and wait for its acknowledgement. Raises what came instead."""
        failed = await self.together([row], sent_at)
        for error in failed.values():
            raise error

    async def _acknowledged(self, tasks: Iterable["asyncio.Future[None]"]) -> None:
        """Wait for all; for those that are late only while the broker acknowledges nothing at all."""
        waiting = list(tasks)
        if not waiting:
            return
        grace, timeout = self._patience.grace, self._patience.timeout
        done, late = await asyncio.wait(waiting, timeout=grace.total_seconds())
        if late and not any(_failure(task) is None for task in done):
            await asyncio.wait(late, timeout=(timeout - grace).total_seconds())

    async def _in_order(self, rows: Sequence[Mapping[str, Any]], sent_at: Instant) -> None:
        pending: list[asyncio.Future[Any]] = []
        try:
            for row in rows:
                headers = envelope.headers(
                    row["event_id"], row["event_type"], self._service, row["event_time"], sent_at
                )
                pending.append(
                    await self._producer.send(row["topic"], row["partition"], row["key"], row["payload"], headers)
                )
            await asyncio.gather(*pending)
        finally:
            # Nothing is left to complain of an answer that nobody fetched.
            for future in pending:
                future.cancel()
            await asyncio.gather(*pending, return_exceptions=True)


def _failure(task: "asyncio.Future[None]") -> BaseException | None:
    if not task.done():
        return TimeoutError("not acknowledged in time")
    if task.cancelled():
        return ConnectionError("given up by the client")
    return task.exception()
