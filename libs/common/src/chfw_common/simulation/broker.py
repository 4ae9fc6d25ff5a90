"""A broker in memory with Kafka's promises: order per partition, logs that can be truncated, topics with an id.

It passes the same suite as the real one (tests/system/broker); what it cannot do stands there as a strict xfail.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from chfw_common.runtime.kept import Headers
from chfw_common.runtime.positions import LogState
from chfw_common.runtime.service import Record
from chfw_common.topology import TOPICS, Topic


class LocalBroker:
    """Logs per partition, and consumer groups that share them out."""

    def __init__(self, topics: Iterable[Topic] = TOPICS) -> None:
        self._logs: dict[tuple[str, int], list[Record]] = {}
        self._begin: dict[tuple[str, int], int] = defaultdict(int)
        self._partitions: dict[str, int] = {}
        self._generation: dict[str, int] = defaultdict(int)
        self._groups: dict[str, list[str]] = defaultdict(list)
        self.appended = asyncio.Event()
        self.membership = 0
        """Counts the changes of topics and groups: an assignment holds as long as this number."""
        for topic in topics:
            self.create(topic)

    def create(self, topic: Topic) -> None:
        """Make a topic anew: an empty log in each partition, and an id that no earlier topic of the name had."""
        self._generation[topic.name] += 1
        self.membership += 1
        self._partitions[topic.name] = topic.partitions
        for partition in range(topic.partitions):
            self._logs[topic.name, partition] = []
            self._begin[topic.name, partition] = 0

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers) -> int:
        """Append a record and give its offset. Raises KeyError for an unknown partition."""
        log = self._logs[topic, partition]
        offset = self._begin[topic, partition] + len(log)
        log.append(Record(topic, partition, offset, key, value, tuple(headers)))
        self.appended.set()
        return offset

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """Records from an offset on. Raises LookupError when the log begins later."""
        begin = self._begin[topic, partition]
        if offset < begin:
            raise LookupError(f"{topic}/{partition}: the log begins at {begin}")
        return self._logs[topic, partition][offset - begin : offset - begin + limit]

    def waits(self, topic: str, partition: int, offset: int) -> bool:
        """Whether reading from an offset gives records, or an error."""
        begin = self._begin[topic, partition]
        return offset < begin or offset < begin + len(self._logs[topic, partition])

    def ends(self) -> dict[tuple[str, int], int]:
        """The end of every partition's log: what is appended from now on lies beyond."""
        return {place: self._begin[place] + len(log) for place, log in self._logs.items()}

    def truncate(self, topic: str, partition: int, begin: int) -> None:
        """Delete the records before an offset, as retention would."""
        log = self._logs[topic, partition]
        del log[: begin - self._begin[topic, partition]]
        self._begin[topic, partition] = begin

    def state(self, topic: str, partition: int) -> LogState:
        """The topic's id and the offsets the log holds."""
        begin = self._begin[topic, partition]
        return LogState(self.topic_id(topic), begin, begin + len(self._logs[topic, partition]))

    def topic_id(self, topic: str) -> str:
        """The id of the topic as it was last made."""
        return str(uuid5(NAMESPACE_OID, f"{topic}#{self._generation[topic]}"))

    def join(self, group: str, member: str) -> None:
        """Add a member to a group: its partitions are shared out again."""
        self._groups[group].append(member)
        self.membership += 1
        self.appended.set()

    def leave(self, group: str, member: str) -> None:
        """Take a member out of a group."""
        self._groups[group].remove(member)
        self.membership += 1
        self.appended.set()

    def assignment(self, group: str, member: str, topic: str) -> list[int]:
        """The partitions a member has now."""
        members = self._groups[group]
        if member not in members:
            return []
        return list(range(members.index(member), self._partitions[topic], len(members)))


class LocalProducer:
    """The relay's way into the local broker: every send is acknowledged at once."""

    def __init__(self, broker: LocalBroker) -> None:
        self._broker = broker

    async def send(
        self, topic: str, partition: int, key: bytes, value: bytes, headers: Headers
    ) -> "asyncio.Future[Any]":
        """Append the record."""
        acknowledged: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        acknowledged.set_result(self._broker.append(topic, partition, key, value, headers))
        return acknowledged

    async def discard(self) -> None:
        """Nothing is ever in flight."""
