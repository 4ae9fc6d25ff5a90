"""Rows turned into columns: what `unnest` takes."""

from collections.abc import Iterable, Sequence
from typing import Any


def columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """One list per column of the rows; there must be a row."""
    return [list(column) for column in zip(*rows, strict=True)]
