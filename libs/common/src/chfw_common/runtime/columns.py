"""Rows turned into columns: what `unnest` takes."""

from collections.abc import Iterable, Sequence
from typing import Any


def columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """One list per column of the rows; there must be a row."""
    return [list(column) for column in zip(*rows, strict=True)]


def distinct(rows: Iterable[tuple[Any, ...]]) -> tuple[list[int], list[list[Any]]]:
    """For each row the number (from 1) of its values among the distinct ones, and the columns of those.

    asyncpg takes a quarter of a microsecond to look at one element of an array, and the hubs of a chunk share most of
    what is written of them: a statement joins `unnest` of the numbers with `unnest ... with ordinality` of the values.
    It limits the join to the number of rows: without that the planner expects far more, and reads whole tables.
    """
    places: dict[tuple[Any, ...], int] = {}
    numbers = [places.setdefault(row, len(places) + 1) for row in rows]
    return numbers, columns(places)
