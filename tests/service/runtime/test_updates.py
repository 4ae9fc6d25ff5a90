"""Updates of many rows: what is shared and what is not ends in the same table, and a row that is missing is noticed."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chfw_common.kernel.instants import parse_instant
from chfw_common.runtime.service import Tx
from chfw_common.runtime.updates import Column, kinds_of, named, update_rows

START = parse_instant("2027-01-01T00:00:00Z")
KINDS = kinds_of("n:bigint a:text b:timestamptz c:json d:int")
TABLE = """
create temporary table row (g text, n bigint, a text, b timestamptz, c json, d int, times int, primary key (g, n));
insert into row select g, n, 'old', null, null, 0, 0 from unnest(array['one', 'other']) g, generate_series(-20, 20) n
"""
CELLS = st.tuples(
    st.none() | st.sampled_from(["x", "y"]),
    st.none() | st.integers(0, 3).map(lambda days: START + timedelta(days=days)),
    st.none() | st.sampled_from(["[1, 2]", "[]"]),
    st.none() | st.integers(-2, 2),
)


@pytest.fixture
async def tx(toy_dsn: str) -> AsyncIterator[Tx]:
    """A connection with a table of its own."""
    connection = await asyncpg.connect(toy_dsn, server_settings={"timezone": "UTC"})
    await connection.execute(TABLE)
    yield connection
    await connection.close()


async def rows_of(tx: Tx, group: str) -> dict[int, tuple[Any, ...]]:
    """Number to the rest of the row."""
    rows = await tx.fetch("select n, a, b, c, d, times from row where g = $1", group)
    return {row[0]: tuple(row[1:]) for row in rows}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.integers(-20, 20), CELLS, min_size=1), st.none() | CELLS)
async def test_the_rows_named_are_as_said_and_no_others(
    tx: Tx, said: dict[int, tuple[Any, ...]], shared: tuple[Any, ...] | None
) -> None:
    said = said if shared is None else dict.fromkeys(said, shared)
    before, others = await rows_of(tx, "one"), await rows_of(tx, "other")
    number, *changed = named(KINDS, [(n, *cells) for n, cells in said.items()])
    await update_rows(tx, "row", [Column("g", "text", ("one",)), number], changed, also=("times = row.times + 1",))
    after = {n: (*cells, before[n][-1] + 1) for n, cells in said.items()}
    assert await rows_of(tx, "one") == before | after
    assert await rows_of(tx, "other") == others


async def test_a_row_that_is_not_there_is_an_error(tx: Tx) -> None:
    with pytest.raises(RuntimeError, match="2 rows of row were to be updated, but: UPDATE 1"):
        await update_rows(
            tx, "row", [Column("g", "text", ("one",)), Column("n", "bigint", [20, 21])], [Column("a", "text", ("x",))]
        )
