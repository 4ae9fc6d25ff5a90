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


def check_position(topic: str, partition: int, next_offset: int, topic_id: str, log: LogState) -> None:
    """Raise PositionError unless the same topic still holds `next_offset`, or it is just past its end."""
    if topic_id != log.topic_id:
        raise PositionError(f"{topic}/{partition}: counted on topic {topic_id}, the cluster has {log.topic_id}")
    if not log.begin <= next_offset <= log.end:
        raise PositionError(
            f"{topic}/{partition}: offset {next_offset} is due, the log holds {log.begin} up to {log.end}"
        )


@dataclass(frozen=True, slots=True)
class Starts:
    """Partition -> the offset to read from, or why it must not be read; and what the broker said of each."""

    found: Mapping[int, int | PositionError]
    logs: Mapping[int, LogState]


async def start_positions(database: Database, topic: Topic, partitions: Sequence[int], look: Look) -> Starts:
    """Where to read partitions from. Those new to us begin at 0.

    The log is looked at after the position is read: who had the partition before may still settle records, and these
    must not seem to lie beyond its end.
    """
    known = await _known(database, topic)
    if not known.keys() >= set(partitions):
        topic_id = next(iter((await look()).values())).topic_id
        async with transient_as_error(), database.transaction() as tx:
            await offsets.begin_at_zero(tx, topic.name, topic_id, partitions)
        known = await _known(database, topic)
    logs = await look()
    result: dict[int, int | PositionError] = {}
    for partition in partitions:
        next_offset, counted_on = known[partition]
        try:
            check_position(topic.name, partition, next_offset, counted_on, logs[partition])
            result[partition] = next_offset
        except PositionError as error:
            result[partition] = error
    return Starts(result, logs)


async def _known(database: Database, topic: Topic) -> dict[int, tuple[int, str]]:
    async with transient_as_error(), database.transaction() as tx:
        return await offsets.read_next(tx, topic.name)
