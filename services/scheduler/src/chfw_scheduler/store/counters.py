"""Originator counters: one line for each partition of hubs, over all releases."""

from collections.abc import Mapping

from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx

SQL = load_queries("chfw_scheduler.store", "counters.sql")


async def give(tx: Tx, wanted: Mapping[int, int], least: int, *, wait: bool = True) -> dict[int, int]:
    """Give each partition so many counters, all at least `least` and above those given before: the last of each.

    The lines stay locked until the transaction ends, in the order of their partitions. Without `wait`, a line that
    another holds raises an error of Postgres that means "try again".
    """
    parts = sorted(wanted)
    if not wait:
        await tx.execute(SQL["lock_nowait"], parts)
    rows = await tx.fetch(SQL["give"], parts, [wanted[part] for part in parts], least)
    return {row["part"]: row["last"] for row in rows}
