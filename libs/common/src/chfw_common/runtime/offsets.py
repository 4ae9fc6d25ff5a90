"""Positions, ranges, parked records and failures of a consumer: the SQL of the consume core."""

from collections.abc import Sequence

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.kept import keep_error, keep_headers
from chfw_common.runtime.service import Record, Tx


async def lock_next(tx: Tx, topic: str, partition: int) -> int:
    """The offset that is due, locked until the transaction ends. First in the lock order."""
    value = await tx.fetchval(
        "select next from consumer_offset where topic = $1 and partition = $2 for update", topic, partition
    )
    if value is None:
        raise LookupError(f"{topic}/{partition} was never assigned here")
    return int(value)


async def take_range(tx: Tx, topic: str, partition: int, *, first: int, beyond: int) -> bool:
    """Move the position from `first` to `beyond` and record the range as applied; False when `first` is not due.

    Locks the position until the transaction ends, as `lock_next` does. What is parked is told to `correct_range`.
    """
    taken = await tx.fetchval(
        """with moved as (
               update consumer_offset set next = $4 where topic = $1 and partition = $2 and next = $3 returning next
           )
           insert into consumed_range (topic, partition, first, beyond, applied, parked)
           select $1, $2, $3, $4, $5, 0 from moved returning true""",
        topic,
        partition,
        first,
        beyond,
        beyond - first,
    )
    return taken is not None


async def correct_range(tx: Tx, topic: str, partition: int, *, first: int, parked: int) -> None:
    """Of the range that `take_range` recorded, so many records were parked."""
    await tx.execute(
        """update consumed_range set applied = applied - $4, parked = $4
           where topic = $1 and partition = $2 and first = $3""",
        topic,
        partition,
        first,
        parked,
    )


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


async def park(tx: Tx, parked: Sequence[tuple[Record, str, str]], now: Instant) -> None:
    """Keep records that cannot be handled: (record, kind, error)."""
    await tx.executemany(
        """insert into parked_record (topic, partition, "offset", key, value, headers, kind, error, parked_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
        [
            (
                record.topic,
                record.partition,
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
