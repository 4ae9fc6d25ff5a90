"""The audit log in a service's schema: append in the transaction of the change, and read."""

from collections.abc import AsyncIterator
from typing import Any

from chfw_common.runtime.audit.record import Entry, Head, Record, digest_of
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx

QUERIES = load_queries("chfw_common.runtime", "sql/audit.sql")
_PAGE = 5_000


class NoStreamError(Exception):
    """The schema has no audit log of this name."""


async def append(tx: Tx, stream: str, entry: Entry) -> None:
    """Write an entry; the commit gives it its number and its place in the chain.

    Last in the lock order: the commit locks the end of the stream, and fails where there is none.
    """
    await tx.execute(QUERIES["append"], stream, digest_of(stream, entry), *entry)


async def read_head(tx: Tx, stream: str) -> Head:
    """Where the stream ends. Raises NoStreamError."""
    row = await tx.fetchrow(QUERIES["head"], stream)
    if row is None:
        raise NoStreamError(stream)
    return Head(row["seq"], row["hash"])


async def read_records(tx: Tx, stream: str, *, after: int = 0, limit: int | None = None) -> list[Record]:
    """The records of a stream behind a number, in the order of their numbers."""
    return [record async for record in _pages(tx, stream, after, limit)]


async def _pages(tx: Tx, stream: str, after: int, limit: int | None) -> AsyncIterator[Record]:
    left = limit
    while left is None or left > 0:
        size = _PAGE if left is None else min(left, _PAGE)
        rows = await tx.fetch(QUERIES["records"], stream, after, size)
        for row in rows:
            yield _record(row)
        if len(rows) < size:
            break
        after, left = rows[-1]["seq"], None if left is None else left - size


def _record(row: Any) -> Record:
    entry = Entry(*(row[name] for name in Entry._fields))
    return Record(row["seq"], entry, row["previous"], row["hash"])
