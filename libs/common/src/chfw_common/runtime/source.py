"""What a source of records owes the consume core, whatever brings them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from chfw_common.runtime.clock import Clock, stopwatch
from chfw_common.runtime.consume import ConsumeCore, Settled
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import PositionError
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.positions import LogState, Look, start_positions
from chfw_common.runtime.service import Record
from chfw_common.topology import Topic

log = structlog.get_logger()


@dataclass(slots=True)
class SourceContext:
    """What every source of a service shares."""

    core: ConsumeCore
    database: Database
    metrics: Metrics
    clock: Clock
    wake: Wake
    stopped: set[tuple[str, int]] = field(default_factory=set)
    progress: dict[str, float] = field(default_factory=dict)

    async def settle(self, topic: Topic, partition: int, records: Sequence[Record]) -> Settled:
        """Hand one offer to the core, and wake the relays of the events that were written."""
        begun = stopwatch()
        settled = await self.core.settle(topic, partition, records, self.clock.now)
        self.metrics.consume_took(topic.name, stopwatch() - begun)
        self.wake.lanes(settled.lanes)
        return settled

    async def positions(
        self, topic: Topic, partitions: Sequence[int], look: Look
    ) -> tuple[dict[int, int], Mapping[int, LogState]]:
        """Where to read the partitions from, and the state of their logs.

        One that cannot be read on is left out of the positions, with an alarm.
        """
        starts = await start_positions(self.database, topic, partitions, look)
        good = {}
        for partition, position in starts.found.items():
            if isinstance(position, PositionError):
                self.stop_partition(topic, partition, position)
            else:
                self.stopped.discard((topic.name, partition))
                good[partition] = position
        return good, starts.logs

    def stop_partition(self, topic: Topic, partition: int, error: PositionError) -> None:
        """Read no further in a partition until a person has decided; say so loudly."""
        self.stopped.add((topic.name, partition))
        self.metrics.alarm("position", on=True)
        log.error(
            "a partition cannot be read on", action="alarm", kind="position", topic=topic.name, partition=partition,
            error=str(error),
        )  # fmt: skip

    def progressed(self, source: str) -> None:
        """Note that a source has fetched, or polled in vain: readiness watches it."""
        self.progress[source] = stopwatch()
