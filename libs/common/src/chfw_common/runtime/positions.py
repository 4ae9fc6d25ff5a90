"""Whether a partition can be read on from where we are: checked whenever it is assigned."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from chfw_common.runtime import offsets
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import PositionError
from chfw_common.runtime.transient import transient_as_error
from chfw_common.topology import Topic


@dataclass(frozen=True, slots=True)
class LogState:
    """What the broker says of a partition: the topic's id and the offsets its log holds, [begin, end)."""

    topic_id: str
    begin: int
    end: int


Look = Callable[[], Awaitable[Mapping[int, LogState]]]
"""Asks the broker for the state of partitions."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a log holds from an offset on: control records up to `controls` (exclusive; the offset itself when there are
    none), then the first record at `record` (None: none was found)."""

    controls: int
    record: int | None = None


LookAtLog = Callable[[int, int], Awaitable[Held]]
"""Reads in the log itself what it holds from the first offset on; the search ends at the second."""


def check_position(topic: str, partition: int, next_offset: int, topic_id: str, log: LogState) -> None:
    """Raise PositionError unless the same topic still holds `next_offset`, or it is just past its end."""
    if topic_id != log.topic_id:
        raise PositionError(
            f"{topic}/{partition}: counted on topic {topic_id}, the cluster has {log.topic_id}", next_offset
        )
    if not log.begin <= next_offset <= log.end:
        raise PositionError(
            f"{topic}/{partition}: offset {next_offset} is due, the log holds {log.begin} up to {log.end}", next_offset
        )


@dataclass(frozen=True, slots=True)
class Starts:
    """Partition -> the offset to read from, or why it must not be read; what the broker said of each; and the topic
    that each position was counted on."""

    found: Mapping[int, int | PositionError]
    logs: Mapping[int, LogState]
    counted_on: Mapping[int, str]


async def start_positions(database: Database, topic: Topic, partitions: Sequence[int], look: Look) -> Starts:
    """Where to read partitions from. Those new to us begin at 0.

    The log is looked at after the position is read: who had the partition before may still settle records, and these
    must not seem to lie beyond its end.
    """
    known = await known_positions(database, topic)
    if not known.keys() >= set(partitions):
        topic_id = next(iter((await look()).values())).topic_id
        async with transient_as_error(), database.transaction() as tx:
            await offsets.begin_at_zero(tx, topic.name, topic_id, partitions)
        known = await known_positions(database, topic)
    logs = await look()
    result: dict[int, int | PositionError] = {}
    for partition in partitions:
        next_offset, counted_on = known[partition]
        try:
            check_position(topic.name, partition, next_offset, counted_on, logs[partition])
            result[partition] = next_offset
        except PositionError as error:
            result[partition] = error
    return Starts(result, logs, {partition: known[partition][1] for partition in partitions})


async def known_positions(database: Database, topic: Topic) -> dict[int, tuple[int, str]]:
    """Partition -> (offset that is due, topic id it was counted on)."""
    async with transient_as_error(), database.transaction() as tx:
        return await offsets.read_next(tx, topic.name)
