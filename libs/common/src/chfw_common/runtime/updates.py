"""Updates of many rows in one statement. What all rows share is sent once: every cell costs both sides."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from chfw_common.runtime.columns import columns
from chfw_common.runtime.service import Tx


class Column(NamedTuple):
    """A column, its type in Postgres, and its value in each row; a single value stands for all rows."""

    name: str
    kind: str
    values: Sequence[Any]


def kinds_of(text: str) -> tuple[tuple[str, str], ...]:
    """Names with types, written as `name:type` with blanks between them."""
    return tuple((name, kind) for name, kind in (entry.split(":") for entry in text.split()))


def named(kinds: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]]) -> list[Column]:
    """Rows as columns with these names and types; there must be a row."""
    return [Column(name, kind, values) for (name, kind), values in zip(kinds, columns(rows), strict=True)]


class _Place(NamedTuple):
    name: str
    kind: str
    shared: bool


async def update_rows(
    tx: Tx, table: str, keys: Sequence[Column], changed: Iterable[Column], *, also: tuple[str, ...] = ()
) -> None:
    """Set the changed columns of the rows that the keys name, the last of which differs from row to row.

    `also` are assignments as they are. Raises RuntimeError when a row is not there.
    """
    *wide, narrow = keys
    places: list[_Place] = []
    sent: list[Any] = []
    for name, kind, values in (*wide, *changed):
        shared = values.count(values[0]) == len(values)
        places.append(_Place(name, kind, shared))
        sent.append(values[0] if shared else values)
    statement = _statement(table, len(wide), (*places, _Place(narrow.name, narrow.kind, shared=False)), also)
    status = await tx.execute(statement, *sent, narrow.values)
    if status != f"UPDATE {len(narrow.values)}":
        raise RuntimeError(f"{len(narrow.values)} rows of {table} were to be updated, but: {status}")


@lru_cache(maxsize=1_024)
def _statement(table: str, wide: int, places: tuple[_Place, ...], also: tuple[str, ...]) -> str:
    arrays = [f"${n}::{place.kind}[]" for n, place in enumerate(places, 1) if not place.shared]
    names = [place.name for place in places if not place.shared]
    equal = [
        (place.name, f"${n}::{place.kind}" if place.shared else f"u.{place.name}") for n, place in enumerate(places, 1)
    ]
    said = [*also, *(f"{name} = {value}" for name, value in equal[wide:-1])]
    found = [f"{table}.{name} = {value}" for name, value in (*equal[:wide], equal[-1])]
    return (
        f"update {table} set {', '.join(said)} from unnest({', '.join(arrays)}) u({', '.join(names)})"
        f" where {' and '.join(found)}"
    )
