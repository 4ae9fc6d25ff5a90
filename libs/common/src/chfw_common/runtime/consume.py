"""The consume core: one transaction per batch of a partition (ARCHITECTURE section 3).

Whatever brings the records (aiokafka, Faust, the local broker), they end here. The position in Postgres decides what
is new; a repeat is dropped, a hole is refused, a bad record is parked, and all of it commits together with what the
handler did.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from chfw_common.events.base import Event
from chfw_common.runtime import envelope, offsets
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import HoleError, InvalidMessageError
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import NO_LANES, write_outbox
from chfw_common.runtime.service import Batch, Consume, Now, Received, Record, Service, Tx
from chfw_common.runtime.transient import is_transient, transient_as_error
from chfw_common.topology import Topic, partition_of_key

log = structlog.get_logger()

PARK_AFTER = 3
"""Unexpected failures at one offset before the batch is taken apart and the culprit parked."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a call settled: how many records of the offer it took, and the lanes in which events wait for the relay."""

    next_offset: int
    applied: int
    parked: int
    lanes: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Decoded:
    record: Record
    received: Received[Event] | None
    error: str = ""

    @property
    def weight(self) -> int:
        return self.received.event.weight if self.received else 1


class ConsumeCore:
    """Handles offers of records for one service. Stateless between calls: Postgres knows where we are."""

    def __init__(self, service: Service, database: Database, metrics: Metrics) -> None:
        self._service = service
        self._database = database
        self._metrics = metrics

    async def settle(self, topic: Topic, partition: int, records: Sequence[Record], now: Now) -> Settled:
        """Handle the records in as many transactions as their weight asks for.

        Raises HoleError when records are missing before one of the offer (what comes before the hole is settled),
        TransientError when a server is away (nothing of the failing transaction happened), and whatever a handler
        raised unexpectedly, after counting it.
        """
        consume = self._service.consumes[topic]
        decoded = [_decode(record, topic) for record in records]
        applied = parked = 0
        lanes = NO_LANES
        next_offset = -1
        for slice_ in _by_weight(decoded, consume.max_weight):
            done = await self._settle_slice(topic, partition, slice_, consume, now)
            next_offset, lanes = done.next_offset, lanes | done.lanes
            applied, parked = applied + done.applied, parked + done.parked
            self._metrics.consumed(topic.name, done.applied, done.parked)
            _refuse_hole(topic, partition, next_offset, slice_)
        return Settled(next_offset, applied, parked, lanes)

    async def _settle_slice(
        self, topic: Topic, partition: int, offer: Sequence[_Decoded], consume: Consume, now: Now
    ) -> Settled:
        try:
            async with transient_as_error(), self._database.transaction() as tx:
                return await self._in_transaction(tx, topic, partition, offer, consume, now, isolate=False)
        except Exception as error:
            if is_transient(error):
                raise
            failures = await self._count_failure(topic, partition, error)
            if failures < PARK_AFTER:
                raise
        async with transient_as_error(), self._database.transaction() as tx:
            return await self._in_transaction(tx, topic, partition, offer, consume, now, isolate=True)

    async def _count_failure(self, topic: Topic, partition: int, error: Exception) -> int:
        async with transient_as_error(), self._database.transaction() as tx:
            failures = await offsets.count_failure(tx, topic.name, partition, f"{type(error).__name__}: {error}")
        log.error(
            "handling failed unexpectedly", action="consume_failed", topic=topic.name, partition=partition,
            failures=failures, exc_info=error,
        )  # fmt: skip
        return failures

    async def _in_transaction(
        self,
        tx: Tx,
        topic: Topic,
        partition: int,
        offer: Sequence[_Decoded],
        consume: Consume,
        now: Now,
        *,
        isolate: bool,
    ) -> Settled:
        due, new, incarnation = await self._take(tx, topic, partition, offer)
        if not new:
            return Settled(due, 0, 0, NO_LANES)
        source = f"{self._service.name}|{topic.name}|{partition}" + (f"|log {incarnation}" if incarnation else "")
        # Parked before anything later is handled: handlers may ask whether a record of the partition ever was.
        parked = await self._park(
            tx, incarnation, [(entry.record, "invalid", entry.error) for entry in new if entry.received is None], now
        )
        good = [entry for entry in new if entry.received is not None]
        lanes = NO_LANES
        for part in [[entry] for entry in good] if isolate else [good] if good else []:
            try:
                async with tx.transaction() if isolate else contextlib.nullcontext():
                    refused, wrote = await self._handle(tx, topic, partition, part, consume, source, now)
            except Exception as error:
                if not isolate or is_transient(error):
                    raise
                refused = [(part[0].record, "unexpected", f"{type(error).__name__}: {error}")]
                wrote = NO_LANES
            parked += await self._park(tx, incarnation, refused, now)
            lanes |= wrote
        return Settled(due + len(new), len(new) - parked, parked, lanes)

    async def _take(
        self, tx: Tx, topic: Topic, partition: int, offer: Sequence[_Decoded]
    ) -> tuple[int, list[_Decoded], int]:
        """The offset that is due, the new records from it on, with the position moved over them, and the incarnation of
        the log. As a rule the offer begins with the one that is due, and a single statement does."""
        first = offer[0].record.offset
        new = _due(first, offer)
        incarnation = await offsets.take_range(tx, topic.name, partition, first=first, beyond=first + len(new))
        if incarnation is not None:
            return first, new, incarnation
        due = await offsets.lock_position(tx, topic.name, partition)
        new = _due(due.next, offer)
        if new:
            await offsets.take_range(tx, topic.name, partition, first=due.next, beyond=due.next + len(new))
        return due.next, new, due.incarnation

    async def _handle(
        self,
        tx: Tx,
        topic: Topic,
        partition: int,
        part: Sequence[_Decoded],
        consume: Consume,
        source: str,
        now: Now,
    ) -> tuple[list[tuple[Record, str, str]], frozenset[int]]:
        """Call the handler and write its events: the rows to park, and the lanes of the events.

        `source` names the log: with an offset of it, the cause of the events.
        """
        outcome = await consume.handler(tx, _batch(topic, partition, part), now)
        by_offset = {entry.record.offset: entry.record for entry in part}
        refused = [(by_offset[row.offset], "invalid", row.reason) for row in outcome.parked]
        return refused, await write_outbox(tx, outcome.outgoing, f"{source}|{part[0].record.offset}", now())

    async def _park(self, tx: Tx, incarnation: int, parked: Sequence[tuple[Record, str, str]], now: Now) -> int:
        """Park records of the range that was taken, in this incarnation of the log; gives their number."""
        if not parked:
            return 0
        await offsets.park(tx, parked, incarnation, now())
        for record, kind, error in parked:
            log.warning(
                "a record was parked", action="parked", topic=record.topic, partition=record.partition,
                offset=record.offset, kind=kind, error=error,
            )  # fmt: skip
        return len(parked)


def _decode(record: Record, topic: Topic) -> _Decoded:
    try:
        if record.key is None:
            raise InvalidMessageError("no key")
        if partition_of_key(record.key, topic.partitions) != record.partition:
            raise InvalidMessageError("the key belongs to another partition")
        return _Decoded(record, envelope.decode(record, topic))
    except InvalidMessageError as error:
        return _Decoded(record, None, str(error))


def _by_weight(decoded: Sequence[_Decoded], limit: int) -> list[list[_Decoded]]:
    slices: list[list[_Decoded]] = []
    weight = 0
    for entry in decoded:
        if not slices or weight + entry.weight > limit:
            slices.append([])
            weight = 0
        slices[-1].append(entry)
        weight += entry.weight
    return slices


def _due(due: int, offer: Sequence[_Decoded]) -> list[_Decoded]:
    """The records from the due one on without a gap; what was met before is dropped."""
    new: list[_Decoded] = []
    for entry in offer:
        expected = due + len(new)
        if entry.record.offset > expected:
            break
        if entry.record.offset == expected:
            new.append(entry)
    return new


def _refuse_hole(topic: Topic, partition: int, next_offset: int, offer: Sequence[_Decoded]) -> None:
    """Raise HoleError when the offer has a record beyond what could be settled."""
    beyond = next((e.record.offset for e in offer if e.record.offset >= next_offset), None)
    if beyond is not None:
        raise HoleError(topic.name, partition, next_offset, beyond)


def _batch(topic: Topic, partition: int, entries: Sequence[_Decoded]) -> Batch[Any]:
    return Batch(topic.name, partition, tuple(entry.received for entry in entries if entry.received is not None))
