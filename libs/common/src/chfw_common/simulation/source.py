"""The local source: what KafkaSource is on the real broker, pumped by the driver or run as a task."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from chfw_common.runtime.backoff import FIRST
from chfw_common.runtime.errors import HoleError, PositionError, TransientError
from chfw_common.runtime.positions import LogState
from chfw_common.runtime.source import SourceContext
from chfw_common.simulation.broker import LocalBroker
from chfw_common.topology import Topic

log = structlog.get_logger()


class LocalSource:
    """A member of a group on the local broker."""

    def __init__(
        self,
        context: SourceContext,
        topics: Sequence[Topic],
        *,
        broker: LocalBroker,
        group: str,
        instance: str = "0",
        max_records: int = 500,
    ) -> None:
        self._context = context
        self._topics = {topic.name: topic for topic in topics}
        self._followed = -1
        self._broker = broker
        self._group = group
        self._member = f"{group}-{instance}"
        self._max_records = max_records
        self._fetch_at: dict[tuple[str, int], int] = {}
        self._joined = False

    def join(self) -> None:
        """Become a member of the group."""
        if not self._joined:
            self._broker.join(self._group, self._member)
            self._joined = True

    def leave(self) -> None:
        """Leave the group."""
        if self._joined:
            self._broker.leave(self._group, self._member)
            self._joined = False
            self._fetch_at.clear()

    async def run(self) -> None:
        """Consume until cancelled. Raises what a handler raised unexpectedly."""
        self.join()
        try:
            while True:
                self._broker.appended.clear()
                if await self.pump() == 0:
                    await _wait(self._broker.appended, 0.05)
        finally:
            self.leave()

    async def pump(self, ends: Mapping[tuple[str, int], int] | None = None) -> int:
        """Offer what each partition has, up to `ends` where they are given; gives the number of records offered."""
        self.join()
        await self._follow_group()
        offered = 0
        for (name, partition), at in list(self._fetch_at.items()):
            if at >= 0 and self._broker.waits(name, partition, at):
                limit = self._max_records if ends is None else min(self._max_records, ends[name, partition] - at)
                offered += await self._offer(self._topics[name], partition, limit) if limit > 0 else 0
        self._context.progressed(self._group)
        return offered

    async def _follow_group(self) -> None:
        """Take up what is assigned anew, let go what is not ours any more; nothing while the group is the same."""
        membership = self._broker.membership
        if membership == self._followed:
            return
        for topic in self._topics.values():
            mine = self._broker.assignment(self._group, self._member, topic.name)
            for key in [key for key in self._fetch_at if key[0] == topic.name and key[1] not in mine]:
                del self._fetch_at[key]
            try:
                await self._start_new(topic, [p for p in mine if (topic.name, p) not in self._fetch_at])
            except TransientError as error:
                log.warning("positions cannot be read now", action="assign_waits", error=str(error))
                return
        self._followed = membership

    async def _start_new(self, topic: Topic, new: Sequence[int]) -> None:
        if new:

            async def look() -> dict[int, LogState]:
                return {partition: self._broker.state(topic.name, partition) for partition in new}

            starts, _ = await self._context.positions(topic, new, look)
            self._fetch_at.update({(topic.name, partition): starts.get(partition, -1) for partition in new})

    async def _offer(self, topic: Topic, partition: int, limit: int) -> int:
        at = self._fetch_at[topic.name, partition]
        try:
            records = self._broker.read(topic.name, partition, at, limit)
        except LookupError as error:
            self._fetch_at[topic.name, partition] = -1
            self._context.stop_partition(topic, partition, PositionError(str(error), at))
            return 0
        if not records:
            return 0
        try:
            settled = await self._context.settle(topic, partition, records)
            self._fetch_at[topic.name, partition] = settled.next_offset
        except HoleError as hole:
            log.warning("a hole was refused", action="hole", error=str(hole))
            self._fetch_at[topic.name, partition] = hole.next_offset
        except TransientError as error:
            log.warning("a partition waits", action="partition_waits", error=str(error))
            await self._context.clock.machine_sleep(FIRST)
        return len(records)

    def seek(self, topic: Topic, partition: int, offset: int) -> None:
        """Fetch from another offset, as a faulty client would: the core has the last word."""
        self._fetch_at[topic.name, partition] = offset


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
