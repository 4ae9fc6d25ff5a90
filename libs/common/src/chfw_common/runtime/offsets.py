"""Positions, ranges, parked records and failures of a consumer: the SQL of the consume core."""

from collections.abc import Sequence
from dataclasses import dataclass

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.kept import keep_error, keep_headers
from chfw_common.runtime.service import Record, Tx


@dataclass(frozen=True, slots=True)
class Position:
    """Where a service stands in a partition: in which log, and the offset that is due in it."""

    topic_id: str
    incarnation: int
    next: int


async def lock_position(tx: Tx, topic: str, partition: int) -> Position:
    """The position, locked until the transaction ends. First in the lock order."""
    row = await tx.fetchrow(
        "select topic_id, incarnation, next from consumer_offset where topic = $1 and partition = $2 for update",
        topic,
        partition,
    )
    if row is None:
        raise LookupError(f"{topic}/{partition} was never assigned here")
    return Position(**dict(row))


async def take_range(tx: Tx, topic: str, partition: int, *, first: int, beyond: int) -> int | None:
    """Move the position from `first` to `beyond` and record the range: the incarnation of the log.

    None when `first` is not due. Locks the position until the transaction ends, as `lock_position` does. What of it is
    parked is told to `park`; the rest counts as applied.
    """
    incarnation: int | None = await tx.fetchval(
        """with moved as (
               update consumer_offset set next = $4 where topic = $1 and partition = $2 and next = $3
               returning incarnation
           )
           insert into consumed_range (topic, partition, incarnation, first, beyond)
           select $1, $2, incarnation, $3, $4 from moved returning incarnation""",
        topic,
        partition,
        first,
        beyond,
    )
    return incarnation


async def step_over_controls(tx: Tx, topic: str, partition: int, *, first: int, beyond: int, now: Instant) -> bool:
    """Move the position over control records of transactions and record them; False when `first` is not due."""
    stepped = await tx.fetchval(
        """with moved as (
               update consumer_offset set next = $4 where topic = $1 and partition = $2 and next = $3
               returning incarnation
           )
           insert into stepped_over (topic, partition, incarnation, first, beyond, kind, reason, at)
           select $1, $2, incarnation, $3, $4, 'control', 'control records of transactions', $5 from moved
           returning true""",
        topic,
        partition,
        first,
        beyond,
        now,
    )
    return stepped is not None


async def read_next(tx: Tx, topic: str) -> dict[int, tuple[int, str]]:
    """Partition -> (offset that is due, topic id it was counted on)."""
    rows = await tx.fetch(
        "select partition, next, topic_id from consumer_offset where topic = $1 order by partition", topic
    )
    return {row["partition"]: (row["next"], row["topic_id"]) for row in rows}


async def begin_at_zero(tx: Tx, topic: str, topic_id: str, partitions: Sequence[int]) -> None:
    """Start partitions never read before at offset 0; known ones stay where they are."""
    await tx.execute(
        """insert into consumer_offset (topic, partition, topic_id, next)
           select $1, p, $2, 0 from unnest($3::int[]) p order by p on conflict do nothing""",
        topic,
        topic_id,
        list(partitions),
    )


async def park(tx: Tx, parked: Sequence[tuple[Record, str, str]], incarnation: int, now: Instant) -> None:
    """Keep records of one log that cannot be handled: (record, kind, error); and that they were parked, for ever."""
    await tx.executemany(
        """with parked as (
               insert into parked_offset (topic, partition, incarnation, "offset") values ($1, $2, $3, $4)
           )
           insert into parked_record (
               topic, partition, incarnation, "offset", key, value, headers, kind, error, parked_at
           ) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)""",
        [
            (
                record.topic,
                record.partition,
                incarnation,
                record.offset,
                record.key,
                record.value,
                keep_headers(record.headers),
                kind,
                keep_error(error),
                now,
            )
            for record, kind, error in parked
        ],
    )


async def count_failure(tx: Tx, topic: str, partition: int, error: str) -> int:
    """Count an unexpected failure at the offset that is due, and say how many there were."""
    return int(
        await tx.fetchval(
            """insert into consume_failure (topic, partition, next, failures, error)
               select topic, partition, next, 1, $3 from consumer_offset where topic = $1 and partition = $2
               on conflict (topic, partition, next)
               do update set failures = consume_failure.failures + 1, error = excluded.error
               returning failures""",
            topic,
            partition,
            keep_error(error),
        )
    )
