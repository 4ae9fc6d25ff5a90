"""No cell of a CSV answer is a formula, and what is none stays as it is."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.cells import csv_row, harmless, harmless_rows

FORMULAS = [
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "=", "-", "--", "+44 20 7946 0000", "-x",
    "\uff1d1", "\uff0b1", "\uff0d1", "\uff201", '=HYPERLINK("http://x")', "=cmd|' /C calc'!A0", "-1,2,3",
]  # fmt: skip
PLAIN = ["", "x", "1", "-5", "+5", "-5.25", "-5,25", "00-DB-12-34-44-EA-B8-96", "a=b", "a@b.c", "'=1", "a\nb", " x"]


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_gets_an_apostrophe(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    (row,) = csv.reader(io.StringIO(harmless_rows(csv_row(["a", cell, "b"])), newline=""))
    assert row == ["a", f"'{cell}", "b"]


@pytest.mark.parametrize("cell", PLAIN)
def test_what_is_no_formula_stays(cell: str) -> None:
    assert harmless(cell) == cell
    row = csv_row(["a", cell, ""])
    assert harmless_rows(row) is row


@given(st.lists(st.lists(st.text(st.sampled_from("=+-@\t\r\n\", 'x1\uff1d")), min_size=1, max_size=4), min_size=1))
def test_whatever_the_rows_none_of_their_cells_is_a_formula(rows: list[list[str]]) -> None:
    found = list(csv.reader(io.StringIO(harmless_rows("".join(map(csv_row, rows))), newline="")))
    wanted = [[harmless(cell) for cell in row] for row in rows]
    assert found == wanted
    assert all(harmless(cell) == cell for row in found for cell in row)
