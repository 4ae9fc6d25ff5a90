"""The Faust agent as a source of records (ADR 0004): it yields raw records, the consume core does the rest.

Its consumer starts where `consumer_offset` says, whatever the group has committed. Any exception ends the process, and
so does a hole of the client: seeking back in mid-flow is not safe, since Faust's own read offset drops what comes
again; the next process reads it from the log. A hole of the log itself would be met again by every process, so it stops
its partition alone, with an alarm. When a person has decided about a stopped position, the process ends once, and the
next one reads on.
"""

import asyncio
import functools
from collections.abc import Sequence
from typing import Any

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from chfw_common.runtime.backoff import Backoff
from chfw_common.runtime.clock import stopwatch
from chfw_common.runtime.errors import PositionError, TransientError
from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.kafka.header_names import read_any_header_name
from chfw_common.runtime.kafka.holes import read_held
from chfw_common.runtime.kafka.topics import require_topics, topics_when_there
from chfw_common.runtime.kept import read_headers
from chfw_common.runtime.positions import LogState
from chfw_common.runtime.repeats import Repeated
from chfw_common.runtime.service import Record
from chfw_common.runtime.source import SourceContext
from chfw_common.runtime.stops import LOOK_EVERY
from chfw_common.topology import Topic

log = structlog.get_logger()

LANE_RECORDS = 200
"""Records a partition may have waiting: a full lane stops the agent, and so the fetching."""
STOP_LIMIT = 2.0


class PositionDecidedError(Exception):
    """A person has decided about a stopped position: the process ends, and the next one reads on from there."""


class FaustSource:
    """Reads one topic of one service through a Faust agent with one actor."""

    def __init__(
        self,
        context: SourceContext,
        topic: Topic,
        *,
        access: KafkaAccess,
        group: str,
        instance: str,
        concurrency: int = 1,
        positions_from_group: bool = False,
    ) -> None:
        self._context = context
        self._topic = topic
        self._access = access
        self._group = group
        self._lanes: dict[int, asyncio.Queue[Record]] = {}
        self._workers: dict[int, asyncio.Task[None]] = {}
        self._failed: asyncio.Future[None] | None = None
        self._waits, self._looked_at = Repeated(), stopwatch()
        self._waiting: set[int] = set()
        # The last two parameters exist for the control runs alone: each is shown to lose records or be refused.
        self._make = functools.partial(
            self._make_app, instance, concurrency=concurrency, positions_from_group=positions_from_group
        )
        self._app: Any = None

    async def run(self) -> None:
        """Consume until cancelled. Raises what a handler raised, or what crashed Faust: the process is to end."""
        self._failed = asyncio.get_running_loop().create_future()
        read_any_header_name()
        # Faust gives up when nobody answers.
        await topics_when_there(self._access, [self._topic], self._context.clock)
        self._app = self._make()
        self._app.finalize()
        await self._app.start()
        try:
            while not self._failed.done():
                if self._app.crashed:
                    raise RuntimeError("the Faust application crashed") from self._app.crash_reason
                self._context.progressed(self._group)
                await self._look_for_decisions()
                await asyncio.wait([self._failed], timeout=0.5)
            self._failed.result()
        finally:
            for worker in self._workers.values():
                worker.cancel()
            await self._stop()

    async def _look_for_decisions(self) -> None:
        """Raise PositionDecidedError when a person has changed a position at which a partition is stopped."""
        if not self._context.stopped or stopwatch() - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = stopwatch()
        try:
            changed = await self._context.decided(self._topic)
        except TransientError as error:
            self._waits.failed("positions cannot be read now", action="assign_waits", error=error)
            return
        if changed:
            raise PositionDecidedError(f"{self._topic.name}: partitions {changed} are read on from where was decided")

    async def _stop(self) -> None:
        """Stop Faust within a limit: with a blocked agent it can take minutes, and the process is to end."""
        stopping = asyncio.ensure_future(self._app.stop())
        await asyncio.wait([stopping], timeout=STOP_LIMIT)
        if not stopping.done():
            stopping.cancel()
            log.warning("Faust did not stop in time", action="faust_hangs", group=self._group)

    def _make_app(self, instance: str, *, concurrency: int, positions_from_group: bool) -> faust.App:
        source = self

        class StoreConsumer(driver.Consumer):
            async def seek_to_committed(self) -> dict[TP, int]:
                wanted = await source._positions(self)
                await self._thread.seek_wait(wanted)
                return wanted

        class StoreTransport(driver.Transport):
            Consumer = driver.Consumer if positions_from_group else StoreConsumer

        class SourceApp(faust.App):
            def _new_transport(self) -> Any:
                return StoreTransport(self.conf.broker_consumer, self)

        app = SourceApp(
            self._group,
            broker=f"kafka://{self._access.bootstrap}",
            broker_credentials=self._credentials(),
            store="memory://",
            autodiscover=False,
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            key_serializer="raw",
            value_serializer="raw",
            processing_guarantee="at_least_once",
            broker_commit_every=500,
            broker_commit_interval=1.0,
            broker_max_poll_records=500,
            broker_session_timeout=6,
            broker_heartbeat_interval=2,
            consumer_group_instance_id=f"{self._group}-{instance}",
            consumer_auto_offset_reset="earliest" if positions_from_group else "none",
            stream_buffer_maxsize=1000,
            table_standby_replicas=0,
            loghandlers=[],
        )
        channel = app.topic(
            self._topic.name, key_serializer="raw", value_serializer="raw", key_type=bytes, value_type=bytes
        )
        app.agent(channel, concurrency=concurrency, name=f"{self._group}.source")(self._receive)
        return app

    def _credentials(self) -> faust.SASLCredentials:
        client = self._access.client()
        return faust.SASLCredentials(
            username=client["sasl_plain_username"],
            password=client["sasl_plain_password"],
            mechanism=client["sasl_mechanism"],
            ssl_context=client["ssl_context"],
        )

    async def _positions(self, consumer: Any) -> dict[TP, int]:
        """Where each assigned partition goes on; retried until the servers answer."""
        partitions = sorted(tp.partition for tp in consumer.assignment() if tp.topic == self._topic.name)
        backoff, waits = Backoff(self._context.clock), Repeated()
        self._context.let_go(self._topic, [p for name, p in self._context.stopped if name == self._topic.name])
        while partitions:
            try:
                found = await self._start_positions(consumer, partitions)
                waits.over(group=self._group)
                return found
            except (TransientError, KafkaError) as error:
                waits.failed("positions cannot be read now", action="assign_waits", error=error, group=self._group)
                await backoff.wait()
        return {}

    async def _start_positions(self, consumer: Any, partitions: Sequence[int]) -> dict[TP, int]:
        tps = [TP(self._topic.name, partition) for partition in partitions]
        thread = consumer._thread  # noqa: SLF001 - Faust has no public way to its consumer

        async def look() -> dict[int, LogState]:
            begins = await consumer.earliest_offsets(*tps)
            ends = await consumer.highwaters(*tps)
            ids = await thread.call_thread(self._topic_ids, thread)
            return {tp.partition: LogState(ids[tp.topic], begins.get(tp) or 0, ends.get(tp) or 0) for tp in tps}

        starts, logs = await self._context.positions(self._topic, partitions, look)
        # Faust cannot leave a partition alone: one that is stopped is read from its end, and what comes is not taken.
        return {tp: starts.get(tp.partition, logs[tp.partition].end) for tp in tps}

    async def _topic_ids(self, thread: Any) -> dict[str, str]:
        return await require_topics(thread._ensure_consumer()._client, [self._topic])  # noqa: SLF001

    async def _receive(self, stream: Any) -> None:
        try:
            async for event in stream.events():
                await self._enqueue(_record(event.message))
        except Exception as error:
            self._fail(error)
            raise

    async def _enqueue(self, record: Record) -> None:
        if self._stopped(record.partition):
            return
        lane = self._lanes.get(record.partition)
        if lane is None:
            lane = self._lanes[record.partition] = asyncio.Queue(LANE_RECORDS)
            self._workers[record.partition] = asyncio.create_task(self._work(record.partition, lane))
        await lane.put(record)

    def _stopped(self, partition: int) -> bool:
        return (self._topic.name, partition) in self._context.stopped

    async def _work(self, partition: int, lane: asyncio.Queue[Record]) -> None:
        try:
            while True:
                offer = [await lane.get()]
                while not lane.empty():
                    offer.append(lane.get_nowait())
                if not self._stopped(partition):
                    await self._settle(partition, offer)
        except Exception as error:  # noqa: BLE001 - handed to run(), which ends the process
            self._fail(error)

    async def _settle(self, partition: int, offer: list[Record]) -> None:
        backoff = Backoff(self._context.clock)
        look = functools.partial(read_held, self._access, self._topic.name, partition)
        while True:
            try:
                await self._context.settle_past_controls(self._topic, partition, offer, look)
                self._waits_no_more(partition)
                return
            except PositionError as error:
                self._context.stop_partition(self._topic, partition, error)
                self._waits_no_more(partition)
                return
            except TransientError as error:
                self._waiting.add(partition)
                self._waits.failed(
                    "a partition waits", action="partition_waits", error=error, topic=self._topic.name,
                    partition=partition,
                )  # fmt: skip
                await backoff.wait()

    def _waits_no_more(self, partition: int) -> None:
        self._waiting.discard(partition)
        if not self._waiting:
            self._waits.over(group=self._group)

    def _fail(self, error: BaseException) -> None:
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)


def _record(message: Any) -> Record:
    headers = message.headers or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Record(message.topic, message.partition, message.offset, message.key, message.value, read_headers(pairs))
