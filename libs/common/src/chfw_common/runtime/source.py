"""What a source of records owes the consume core, whatever brings them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from chfw_common.runtime import offsets
from chfw_common.runtime.clock import Clock, stopwatch
from chfw_common.runtime.consume import ConsumeCore, Settled
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import HoleError, PositionError
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.positions import LogState, Look, LookAtLog, known_positions, start_positions
from chfw_common.runtime.service import Record
from chfw_common.runtime.stops import Stops
from chfw_common.runtime.transient import transient_as_error
from chfw_common.topology import HUB_PARTITIONS, Topic

log = structlog.get_logger()


@dataclass(slots=True)
class SourceContext:
    """What every source of a service shares.

    `room`: how many partitions are settled at once, however many a fetch has brought. Each takes a connection; without
    a bound a backlog takes them all, and requests and ticks wait behind it.
    """

    core: ConsumeCore
    database: Database
    metrics: Metrics
    clock: Clock
    wake: Wake
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(HUB_PARTITIONS))
    stops: Stops = field(default_factory=Stops)
    progress: dict[str, float] = field(default_factory=dict)
    _counted_on: dict[tuple[str, int], str] = field(default_factory=dict)

    async def settle(self, topic: Topic, partition: int, records: Sequence[Record]) -> Settled:
        """Hand one offer to the core, and wake the relays of the events that were written."""
        async with self.room:
            begun = stopwatch()
            settled = await self.core.settle(topic, partition, records, self.clock.now)
            self.metrics.consume_took(topic.name, stopwatch() - begun)
        self.wake.lanes(settled.lanes)
        return settled

    async def settle_past_controls(
        self, topic: Topic, partition: int, records: Sequence[Record], look: LookAtLog
    ) -> Settled:
        """The same, but control records of transactions are no hole: they are stepped over, and recorded as such.

        Raises HoleError when the log holds what the source did not offer, PositionError when the log itself has a hole.
        """
        while True:
            try:
                return await self.settle(topic, partition, records)
            except HoleError as hole:
                held = await look(hole.next_offset, hole.found)
                if held.record == hole.next_offset:
                    raise
                if held.controls == hole.next_offset:
                    raise PositionError(f"{hole}, and the log has nothing in between", hole.next_offset) from hole
                await self._step_over(topic, partition, hole.next_offset, min(held.controls, hole.found))

    async def _step_over(self, topic: Topic, partition: int, first: int, beyond: int) -> None:
        async with transient_as_error(), self.database.transaction() as tx:
            now = self.clock.now()
            await offsets.step_over_controls(tx, topic.name, partition, first=first, beyond=beyond, now=now)
        log.info(
            "control records were stepped over", action="controls", topic=topic.name, partition=partition, first=first,
            beyond=beyond,
        )  # fmt: skip

    async def positions(
        self, topic: Topic, partitions: Sequence[int], look: Look
    ) -> tuple[dict[int, int], Mapping[int, LogState]]:
        """Where to read the partitions from, and the state of their logs.

        One that cannot be read on is left out of the positions, with an alarm.
        """
        starts = await start_positions(self.database, topic, partitions, look)
        good = {}
        for partition, position in starts.found.items():
            self._counted_on[topic.name, partition] = starts.counted_on[partition]
            if isinstance(position, PositionError):
                self.stop_partition(topic, partition, position)
            else:
                self.let_go(topic, [partition])
                good[partition] = position
        return good, starts.logs

    @property
    def stopped(self) -> frozenset[tuple[str, int]]:
        """The partitions that are read no further."""
        return self.stops.partitions

    def stop_partition(self, topic: Topic, partition: int, error: PositionError) -> None:
        """Read no further in a partition until a person has decided; say so loudly."""
        self.stops.add(topic.name, partition, error, self._counted_on.get((topic.name, partition)))
        self.metrics.partition_stopped(topic.name, partition, on=True)
        log.error(
            "a partition cannot be read on", action="alarm", kind="position", topic=topic.name, partition=partition,
            error=str(error),
        )  # fmt: skip

    def let_go(self, topic: Topic, partitions: Sequence[int]) -> None:
        """The partitions are read on, or are not ours any more."""
        for partition in partitions:
            if self.stops.remove(topic.name, partition):
                self.metrics.partition_stopped(topic.name, partition, on=False)
                log.info(
                    "a partition is stopped here no more", action="alarm_over", kind="position", topic=topic.name,
                    partition=partition,
                )  # fmt: skip

    async def decided(self, topic: Topic) -> list[int]:
        """The stopped partitions of a topic whose position a person has changed since. Raises TransientError."""
        if not any(name == topic.name for name, _ in self.stopped):
            return []
        known = await known_positions(self.database, topic)
        return self.stops.changed(topic.name, known)

    def progressed(self, source: str) -> None:
        """Note that a source has fetched, or polled in vain: readiness watches it."""
        self.progress[source] = stopwatch()
