"""The aiokafka source: a consumer whose positions come from Postgres.

One `getmany` after another; the partitions of a fetch are settled side by side. A partition that waits (a server away,
a hole) is sought back to what is due and paused for a while; the others go on.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError, OffsetOutOfRangeError

from chfw_common.runtime.clock import stopwatch
from chfw_common.runtime.errors import HoleError, PositionError, TransientError
from chfw_common.runtime.kafka.topics import require_topics
from chfw_common.runtime.positions import LogState
from chfw_common.runtime.service import Record
from chfw_common.runtime.source import BACKOFF_FIRST, BACKOFF_LIMIT, SourceContext
from chfw_common.topology import BY_NAME, Topic

log = structlog.get_logger()

POLL_MS = 500
COMMIT_EVERY = 5.0


class KafkaSource:
    """Reads topics of one service as a member of a consumer group."""

    def __init__(
        self,
        context: SourceContext,
        topics: Sequence[Topic],
        *,
        bootstrap: str,
        group: str,
        instance: str | None = None,
        max_records: int = 500,
    ) -> None:
        self._context = context
        self._topics = {topic.name: topic for topic in topics}
        self._group = group
        self._max_records = max_records
        self._wait: dict[TopicPartition, tuple[float, float]] = {}
        self._committed_at = 0.0
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group,
            client_id=group,
            group_instance_id=f"{group}-{instance}" if instance is not None else None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=6_000,
            heartbeat_interval_ms=2_000,
            max_poll_interval_ms=300_000,
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=2 * 1024 * 1024,
        )

    async def run(self) -> None:
        """Consume until cancelled. Raises what a handler raised unexpectedly: the process is to end."""
        self._consumer.subscribe(list(self._topics), listener=_Assigned(self))
        await self._consumer.start()
        try:
            while True:
                await self._round()
        finally:
            await self._consumer.stop()

    async def _round(self) -> None:
        self._resume()
        try:
            fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=self._max_records)
        except OffsetOutOfRangeError as error:
            self._out_of_range(error)
            return
        except KafkaError as error:
            log.warning("the broker cannot be read now", action="fetch_failed", group=self._group, error=str(error))
            await self._context.clock.machine_sleep(BACKOFF_FIRST)
            return
        self._context.progressed(self._group)
        if fetched:
            results = await asyncio.gather(
                *(self._settle(tp, records) for tp, records in fetched.items()), return_exceptions=True
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        await self._commit_for_lag_tools()

    async def _settle(self, tp: TopicPartition, records: Sequence[Any]) -> None:
        topic = BY_NAME[tp.topic]
        offer = [
            Record(r.topic, r.partition, r.offset, r.key, r.value, tuple((n, bytes(v)) for n, v in r.headers))
            for r in records
        ]
        try:
            settled = await self._context.settle(topic, tp.partition, offer)
        except HoleError as hole:
            log.warning("a hole was refused", action="hole", error=str(hole))
            if tp in self._consumer.assignment():
                self._consumer.seek(tp, hole.next_offset)
            return
        except TransientError as error:
            self._wait_for(tp, offer[0].offset, error)
            return
        self._wait.pop(tp, None)
        high = self._consumer.highwater(tp) if tp in self._consumer.assignment() else None
        if high is not None:
            self._context.metrics.lag(tp.topic, tp.partition, max(high - settled.next_offset, 0))

    def _wait_for(self, tp: TopicPartition, first: int, error: TransientError) -> None:
        """Read the partition again from `first` after a while; what did commit will be dropped as a repeat."""
        _, backoff = self._wait.get(tp, (0.0, BACKOFF_FIRST / 2))
        backoff = min(backoff * 2, BACKOFF_LIMIT)
        self._wait[tp] = (stopwatch() + backoff, backoff)
        log.warning(
            "a partition waits", action="partition_waits", topic=tp.topic, partition=tp.partition, error=str(error)
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
            problem = PositionError(f"{tp.topic}/{tp.partition}: offset {offset} is no longer in the log")
            self._context.stop_partition(BY_NAME[tp.topic], tp.partition, problem)
            if tp in self._consumer.assignment():
                self._consumer.pause(tp)

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Start each new partition at the position in Postgres; retried until the servers answer."""
        backoff = BACKOFF_FIRST
        while partitions:
            try:
                await self._start_at_positions(partitions)
                return
            except (TransientError, KafkaError) as error:
                log.warning("positions cannot be read now", action="assign_waits", error=str(error))
                await self._context.clock.machine_sleep(backoff)
                backoff = min(backoff * 2, BACKOFF_LIMIT)

    async def _start_at_positions(self, partitions: Sequence[TopicPartition]) -> None:
        ids = await require_topics(self._consumer._client, self._topics.values())  # noqa: SLF001 - no public way
        begins = await self._consumer.beginning_offsets(list(partitions))
        ends = await self._consumer.end_offsets(list(partitions))
        for name, topic in self._topics.items():
            mine = sorted(tp.partition for tp in partitions if tp.topic == name)
            if not mine:
                continue
            logs = {p: LogState(ids[name], begins[_tp(name, p)], ends[_tp(name, p)]) for p in mine}
            starts = await self._context.positions(topic, mine, logs)
            for partition in mine:
                tp = _tp(name, partition)
                self._consumer.seek(tp, starts.get(partition, ends[tp]))
                if partition not in starts:
                    self._consumer.pause(tp)

    async def _commit_for_lag_tools(self) -> None:
        if stopwatch() - self._committed_at < COMMIT_EVERY:
            return
        self._committed_at = stopwatch()
        try:
            await self._consumer.commit()
        except (KafkaError, IllegalStateError) as error:
            log.debug("the commit for lag tools failed", action="commit_failed", error=str(error))


def _tp(topic: str, partition: int) -> TopicPartition:
    return TopicPartition(topic, partition)


class _Assigned(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, source: KafkaSource) -> None:
        self._source = source

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Nothing to hand over: the position is in Postgres."""

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self._source.assigned(sorted(assigned))
