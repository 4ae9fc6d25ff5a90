"""The aiokafka source: a consumer whose positions come from Postgres.

One `getmany` after another; the partitions of a fetch are settled side by side. A partition that waits (a server away,
a hole) is sought back to what is due and paused for a while; the others go on. At a hole the log itself is read: over
control records the partition goes on, a hole of the log stops it with an alarm, and what the client has lost is fetched
again, `HOLE_LIMIT` times. A stopped partition is read on when a person has decided about its position.
"""

import asyncio
import functools
from collections.abc import Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from chfw_common.runtime.backoff import FIRST, Backoff, longer
from chfw_common.runtime.clock import stopwatch
from chfw_common.runtime.errors import HoleError, PositionError, TransientError
from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.kafka.closing import ended
from chfw_common.runtime.kafka.header_names import read_any_header_name
from chfw_common.runtime.kafka.holes import read_held
from chfw_common.runtime.kafka.topics import require_topics, topics_when_there
from chfw_common.runtime.kept import read_headers
from chfw_common.runtime.passwords import SecretError
from chfw_common.runtime.positions import LogState
from chfw_common.runtime.repeats import Repeated
from chfw_common.runtime.service import Record
from chfw_common.runtime.source import SourceContext
from chfw_common.runtime.stops import LOOK_EVERY
from chfw_common.topology import Topic

log = structlog.get_logger()

POLL_MS = 500
COMMIT_EVERY = 5.0
COMMIT_LIMIT = 2.0
"""Seconds that a commit may take. aiokafka tries for ever while the broker hangs, and nothing is read meanwhile."""
GATHER = 0.1
"""Seconds from one fetch that brought something to the next. What comes one by one is settled as it comes; in a burst,
records gather to batches worth their transaction."""
HOLE_LIMIT = 5
"""Fetches at one and the same offset that the log holds and the client does not bring, before the partition stops."""


class KafkaSource:
    """Reads topics of one service as a member of a consumer group."""

    def __init__(
        self,
        context: SourceContext,
        topics: Sequence[Topic],
        *,
        access: KafkaAccess,
        group: str,
        instance: str | None = None,
        max_records: int = 500,
        gather: float = 0.0,
    ) -> None:
        self._context = context
        self._topics = {topic.name: topic for topic in topics}
        self._access = access
        self._group = group
        self._instance = instance
        self._max_records = max_records
        self._gather = gather
        self._wait: dict[TopicPartition, tuple[float, float]] = {}
        self._holes: dict[TopicPartition, tuple[int, int]] = {}
        self._settled: dict[TopicPartition, int] = {}
        self._committed_at = self._looked_at = stopwatch()
        self._waits, self._fetches = Repeated(), Repeated()
        self._failed: Exception | None = None
        self._consumer: Any = None

    async def run(self) -> None:
        """Consume until cancelled. Raises what a handler raised unexpectedly: the process is to end."""
        read_any_header_name()
        await topics_when_there(self._access, self._topics.values(), self._context.clock)
        backoff = Backoff(self._context.clock)
        while not await self._start():
            await backoff.wait()
        try:
            while True:
                await self._round()
        finally:
            await ended(self._consumer.stop())

    async def _start(self) -> bool:
        """Join the group with a new consumer; False while the broker cannot be reached."""
        started, self._consumer = False, None
        try:
            self._consumer = self._made()
            self._consumer.subscribe(list(self._topics), listener=_Assigned(self))
            await self._consumer.start()
            started = True
            self._fetches.over(group=self._group)
        except (KafkaError, OSError, SecretError) as error:
            server = self._access.bootstrap
            self._fetches.failed(
                "Kafka is not there yet", action="broker_waits", error=error, server=server, group=self._group
            )
        finally:
            if not started and self._consumer is not None:
                await ended(self._consumer.stop())
        return started

    def _made(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self._access.client(),
            group_id=self._group,
            client_id=self._group,
            group_instance_id=f"{self._group}-{self._instance}" if self._instance is not None else None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=6_000,
            heartbeat_interval_ms=2_000,
            max_poll_interval_ms=300_000,
            fetch_max_wait_ms=250,
            max_partition_fetch_bytes=2 * 1024 * 1024,
        )

    async def _round(self) -> None:
        if self._failed is not None:
            raise self._failed
        self._resume()
        await self._look_for_decisions()
        try:
            fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=self._max_records)
        except OffsetOutOfRangeError as error:
            self._out_of_range(error)
            return
        except NoOffsetForPartitionError:
            # aiokafka looked for a position before `assigned` had set it.
            return
        except KafkaError as error:
            self._fetches.failed("the broker cannot be read now", action="fetch_failed", error=error, group=self._group)
            await self._context.clock.machine_sleep(FIRST)
            return
        self._fetches.over(group=self._group)
        self._context.progressed(self._group)
        if fetched:
            begun = stopwatch()
            results = await asyncio.gather(
                *(self._settle(tp, records) for tp, records in fetched.items()), return_exceptions=True
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result
            await self._context.clock.machine_sleep(max(self._gather - (stopwatch() - begun), 0.0))
        await self._commit_for_lag_tools()

    async def _settle(self, tp: TopicPartition, records: Sequence[Any]) -> None:
        topic = self._topics[tp.topic]
        offer = [Record(r.topic, r.partition, r.offset, r.key, r.value, read_headers(r.headers)) for r in records]
        look = functools.partial(read_held, self._access, tp.topic, tp.partition)
        try:
            settled = await self._context.settle_past_controls(topic, tp.partition, offer, look)
        except HoleError as hole:
            self._refuse(tp, hole)
            return
        except PositionError as error:
            self._stop(tp, error)
            return
        except TransientError as error:
            self._wait_for(tp, offer[0].offset, error)
            return
        self._holes.pop(tp, None)
        if self._wait.pop(tp, None) is not None and not self._wait:
            self._waits.over(group=self._group)
        if tp not in self._consumer.assignment():
            return
        self._settled[tp] = settled.next_offset
        high = self._consumer.highwater(tp)
        if high is not None:
            self._context.metrics.lag(tp.topic, tp.partition, max(high - settled.next_offset, 0))

    def _refuse(self, tp: TopicPartition, hole: HoleError) -> None:
        """Fetch again what is due, which the log holds; stop when it does not come."""
        at, looks = self._holes.get(tp, (-1, 0))
        looks = looks + 1 if at == hole.next_offset else 1
        self._holes[tp] = (hole.next_offset, looks)
        log.warning("a hole was refused", action="hole", error=str(hole), looks=looks)
        if looks >= HOLE_LIMIT:
            self._stop(tp, PositionError(f"{hole}, again and again, though the log holds it", hole.next_offset))
        elif looks > 1:
            self._wait_for(tp, hole.next_offset, hole)
        elif tp in self._consumer.assignment():
            self._consumer.seek(tp, hole.next_offset)

    def _wait_for(self, tp: TopicPartition, first: int, error: Exception) -> None:
        """Read the partition again from `first` after a while; what did commit will be dropped as a repeat."""
        _, before = self._wait.get(tp, (0.0, FIRST / 2))
        pause = longer(before)
        self._wait[tp] = (stopwatch() + pause, pause)
        self._waits.failed(
            "a partition waits", action="partition_waits", error=error, topic=tp.topic, partition=tp.partition
        )
        if tp in self._consumer.assignment():
            self._consumer.seek(tp, first)
            self._consumer.pause(tp)

    def _resume(self) -> None:
        now = stopwatch()
        for tp, (until, _) in self._wait.items():
            if until <= now and tp in self._consumer.assignment() and tp in self._consumer.paused():
                self._consumer.resume(tp)

    def _out_of_range(self, error: OffsetOutOfRangeError) -> None:
        for tp, offset in dict(error.args[0]).items():
            self._stop(tp, PositionError(f"{tp.topic}/{tp.partition}: offset {offset} is no longer in the log", offset))

    def _stop(self, tp: TopicPartition, error: PositionError) -> None:
        self._wait.pop(tp, None)
        self._context.stop_partition(self._topics[tp.topic], tp.partition, error)
        if tp in self._consumer.assignment():
            self._consumer.pause(tp)

    async def _look_for_decisions(self) -> None:
        """Read stopped partitions on where a person has changed the position since."""
        if not self._context.stopped or stopwatch() - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = stopwatch()
        try:
            for name, topic in self._topics.items():
                changed = [TopicPartition(name, p) for p in await self._context.decided(topic)]
                await self._start_at_positions([tp for tp in changed if tp in self._consumer.assignment()])
        except (TransientError, KafkaError) as error:
            self._waits.failed("positions cannot be read now", action="assign_waits", error=error)

    def revoked(self) -> None:
        """Nothing is ours until the next assignment, so nothing is stopped here. The position is in Postgres."""
        for topic in self._topics.values():
            self._context.let_go(topic, [p for name, p in self._context.stopped if name == topic.name])

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Start each new partition at the position in Postgres; retried until the servers answer.

        aiokafka logs what a listener raises and goes on, so anything else is kept for `run` to raise.
        """
        self._wait.clear()
        self._holes.clear()
        self._settled.clear()
        backoff, waits = Backoff(self._context.clock), Repeated()
        while partitions:
            try:
                await self._start_at_positions(partitions)
                waits.over(group=self._group)
                return
            except (TransientError, KafkaError) as error:
                waits.failed("positions cannot be read now", action="assign_waits", error=error, group=self._group)
                await backoff.wait()
            except Exception as error:
                self._failed = error
                raise

    async def _start_at_positions(self, partitions: Sequence[TopicPartition]) -> None:
        if not partitions:
            return
        ids = await require_topics(self._consumer._client, self._topics.values())  # noqa: SLF001 - no public way
        for name, topic in self._topics.items():
            mine = sorted(tp for tp in partitions if tp.topic == name)
            if not mine:
                continue
            look = functools.partial(self._look, mine, ids[name])
            starts, logs = await self._context.positions(topic, [tp.partition for tp in mine], look)
            for tp in mine:
                self._consumer.seek(tp, starts.get(tp.partition, logs[tp.partition].end))
                if tp.partition not in starts:
                    self._consumer.pause(tp)
                elif tp in self._consumer.paused():
                    self._consumer.resume(tp)

    async def _look(self, partitions: list[TopicPartition], topic_id: str) -> dict[int, LogState]:
        begins = await self._consumer.beginning_offsets(partitions)
        ends = await self._consumer.end_offsets(partitions)
        return {tp.partition: LogState(topic_id, begins[tp], ends[tp]) for tp in partitions}

    async def _commit_for_lag_tools(self) -> None:
        if not self._settled or stopwatch() - self._committed_at < COMMIT_EVERY:
            return
        self._committed_at = stopwatch()
        try:
            async with asyncio.timeout(COMMIT_LIMIT):
                await self._consumer.commit(self._settled)
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            log.debug("the commit for lag tools failed", action="commit_failed", error=str(error))


class _Assigned(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, source: KafkaSource) -> None:
        self._source = source

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002 - aiokafka's shape
        self._source.revoked()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self._source.assigned(sorted(assigned))
