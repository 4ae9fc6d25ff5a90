"""Lists in pieces: however the bytes are cut, the same entries or the same refusal, and never anything else."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chfw_instruction.domain.lists import RECORD_LIMIT, CsvReader, MalformedListError, NdjsonReader, TooManyRowsError
from tests.support.fuzzing import inputs

Reader = Callable[[Callable[..., None]], CsvReader | NdjsonReader]
Read = tuple[list[str], list[str], str | None]


def read(make: Reader, data: bytes, size: int) -> tuple[list[str], list[str]] | int:
    """(entries, rows), or the number of the row that was refused."""
    entries, records, refusal = read_pieces(make, [data[start : start + size] for start in range(0, len(data), size)])
    found = re.match(r"Row (\d+)", refusal or "")
    return int(found[1]) if found else (entries, records)


def read_pieces(make: Reader, cut: Iterable[bytes]) -> Read:
    """(entries, rows, what was said of the row that was refused): all that a reader does with pieces."""
    entries: list[str] = []
    records: list[str] = []

    def add(texts: list[str], rows: list[str]) -> None:
        entries.extend(texts)
        records.extend(rows)

    reader = make(add)
    try:
        for piece in cut:
            reader.feed(piece)
        reader.feed(b"", final=True)
    except MalformedListError as error:
        return entries, records, str(error)
    return entries, records, None


ROWS = b'site,hub,note\r\n1,aa,x\r\n\r\n2,"b,b","two\r\nlines, ""said"""\r\n3,cc,\r\n'


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_csv_file_keeps_its_rows_as_they_stand(size: int) -> None:
    expected = (["aa", "b,b", "cc"], ["1,aa,x", '2,"b,b","two\r\nlines, ""said"""', "3,cc,"])
    assert read(CsvReader, ROWS, size) == expected
    assert read(CsvReader, b"\xef\xbb\xbf" + ROWS.removesuffix(b"\r\n"), size) == expected


def test_a_csv_file_of_ids_alone_has_no_rows_to_keep() -> None:
    assert read(CsvReader, b"device_id\naa\nbb", 1000) == (["aa", "bb"], [])


@pytest.mark.parametrize(
    ("make", "data", "row"),
    [
        (CsvReader, b"", 1),
        (CsvReader, b"id,note\naa,1\n", 1),
        (CsvReader, b"hub,hub\naa,1\n", 1),
        (CsvReader, b"hub,note\naa,1\nbb\n", 3),
        (CsvReader, b'hub\n"aa\n', 2),
        (CsvReader, b'hub\n"aa"b\n', 2),
        (CsvReader, b"hub\naa\rbb\n", 2),
        (CsvReader, b"hub\n\xff\n", 2),
        (CsvReader, b"hub\na\0a\n", 2),
        (CsvReader, b"hub\n" + b"aa\n" * 4_000 + b"\xe9\n", 4_002),
        (CsvReader, b"hub,note\n" + b"\n" * 1_574 + b"aa\n", 1_576),
        (CsvReader, b"hub\n" + b"a" * (RECORD_LIMIT + 1), 2),
        (NdjsonReader, b'"aa"\n{"hub": "bb"}\n\n{"hub": 3}\n', 4),
        (NdjsonReader, b'"aa"\n[]\n', 2),
        (NdjsonReader, b'"aa\n', 1),
        (NdjsonReader, b"[" * 10_000, 1),
        (NdjsonReader, b"1" * 10_000, 1),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_row(make: Reader, data: bytes, row: int) -> None:
    assert read(make, data, 100_000) == row


cell = st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), max_size=8)

row = st.tuples(cell, cell, cell).filter(lambda cells: any(map(str.strip, cells)))


@inputs(quick=100)
@given(st.lists(row, max_size=8), st.integers(1, 20))
def test_any_csv_file_reads_as_python_reads_it(rows: list[tuple[str, str, str]], size: int) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([("a", "hub", "b"), *rows])
    found = read(CsvReader, text.getvalue().encode(), size)
    assert isinstance(found, tuple)
    entries, records = found
    assert entries == [row[1] for row in rows]
    assert [tuple(next(csv.reader(io.StringIO(record, newline="")))) for record in records] == rows


@inputs(quick=100)
@given(st.lists(st.text(max_size=8)), st.booleans(), st.integers(1, 20))
def test_any_text_may_be_an_entry_of_ndjson(texts: list[str], wrapped: bool, size: int) -> None:
    lines = [json.dumps({"hub": text} if wrapped else text) for text in texts]
    assert read(NdjsonReader, "\n".join(lines).encode(), size) == (texts, [])


pieces = st.lists(
    st.sampled_from([b"hub", b",", b'"', b"\n", b"\r\n", b"\r", b"aa", b"{", b"}", b":", b"\xff", b"\xc3\xa9", b"\0"])
)
lengths = st.integers(RECORD_LIMIT - 3, RECORD_LIMIT + 3)
long_rows = st.builds(
    lambda before, length, within, after: b"hub,note\n" + before + b"x" * length + within + after,
    st.sampled_from([b"aa,", b'aa,"', b'aa,"\n', b'"aa"b,', b'aa,15" ']),
    lengths,
    st.sampled_from([b"", b'"', b"\n", b'\n"', b'"y', b"\xff", b"\0", b"\r"]),
    st.sampled_from([b"", b"\n", b"\r\n", b'\nbb,"', b"\nbb,cc\n"]),
)
files = st.one_of(st.binary(), pieces.map(b"".join), pieces.map(lambda parts: b"hub,x\n" + b"".join(parts)), long_rows)


@pytest.mark.parametrize("make", [CsvReader, NdjsonReader])
@inputs(quick=300)
@given(data=files, places=st.lists(st.integers(0, RECORD_LIMIT + 40), max_size=6))
def test_any_split_of_any_file_gives_the_same_answer(make: Any, data: bytes, places: list[int]) -> None:
    ends = sorted({*(place for place in places if place < len(data)), len(data)})
    torn = [data[start:end] for start, end in pairwise([0, *ends])]
    whole = read_pieces(make, [data])
    assert read_pieces(make, torn) == whole
    if len(data) < RECORD_LIMIT:
        assert read_pieces(make, [data[n : n + 1] for n in range(len(data))]) == whole


QUOTED = [f"{n:016X},plain" for n in range(1_900)]
QUOTED[7] += ' 15" pipe'
"""One quote in all: a reader that counts quotes waits for the second until the row seems to be too long."""


@pytest.mark.parametrize("rows", [20, 1_900])
@pytest.mark.parametrize("size", [1_000, 35_000, 1 << 16])
def test_an_inch_mark_is_a_character_in_a_file_of_any_length(rows: int, size: int) -> None:
    data = "\n".join(["hub,note", *QUOTED[:rows]]).encode()
    assert read(CsvReader, data, size) == ([row[:16] for row in QUOTED[:rows]], QUOTED[:rows])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"hub;note\naa;x\n", "Row 1: the header has no column `hub` or `device_id`: it looks separated by `;`"),
        (b"site\tdevice_id\nx\taa\n", "it looks separated by a tab"),
        (b"site,Hub ID\nx,aa\n", "write `Hub ID` as `hub`"),
        (b"HUB \naa\n", "write `HUB ` as `hub`"),
        (b"Device_ID\naa\n", "write `Device_ID` as `device_id`"),
        (b"00-DB-12-34-44-EA-B8-96\n", "the file begins with a hub"),
        (b"hub,device_id\naa,bb\n", "the columns `hub` and `device_id` both name the hub"),
        (b"hub,HUB\naa,bb\n", "the columns `hub` and `HUB` both name the hub"),
        (b"hub,note,note\naa,x,y\n", "the header has the column `note` twice"),
        (b"hub,note,\naa,x,\n", "column 3 of the header has no name"),
        (b"hub,activate_at\naa,2027-01-01T00:00:00Z\n", "the column `activate_at` looks like the term `activate_at`"),
        (b"hub\naa\rbb\n", "Row 2: a carriage return stands alone"),
        (b'hub\n"aa"b\n', "Row 2: text follows a closing quote"),
        (b'hub\n\n"aa\nbb\n', "Row 3: a quote that opens in this row is never closed."),
        (b'hub,note\naa,"two\nlines"\n\nbb\n', "Row 4 (line 5): 1 columns, the header has 2: a text with a comma"),
        (b"hub\n\xe9\n", "Row 2: the text is not UTF-8: save the file as UTF-8."),
    ],
)
def test_a_refusal_says_what_is_wrong_and_how_to_mend_it(data: bytes, said: str) -> None:
    refusal = read_pieces(CsvReader, [data])[2]
    assert refusal is not None
    assert said in refusal


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"hub": "aa", "activate_at": "2027-01-01T00:00:00Z"}', "`activate_at` is not known here"),
        ('{"hub": "aa", "hub": "bb"}', "an object has the name `hub` twice"),
        ('{"Hub": "aa"}', "neither a string nor an object whose `hub` is one"),
        ("{}", "neither a string nor an object whose `hub` is one"),
    ],
)
def test_a_line_says_its_hub_and_nothing_else(line: str, said: str) -> None:
    refusal = read_pieces(NdjsonReader, [f'"aa"\n{line}\n'.encode()])[2]
    assert refusal is not None
    assert refusal.startswith("Row 2: ")
    assert said in refusal


def test_rows_of_blank_cells_are_passed_over_and_counted() -> None:
    data = b"hub,note\r\n,\r\naa,x\r\n\r\n , \r\n,,,,\r\nbb,y\r\ncc\r\n"
    entries, records, refusal = read_pieces(CsvReader, [data])
    assert (entries, records) == (["aa", "bb"], ["aa,x", "bb,y"])
    assert refusal is not None
    assert refusal.startswith("Row 8: 1 columns")


@pytest.mark.parametrize("blank", [b"\n", b",,,,\r\n", b" , \n"])
@pytest.mark.parametrize("size", [1_000, 1 << 16])
def test_blank_rows_are_bounded(blank: bytes, size: int) -> None:
    data = b"hub,note\n" + blank * 20_000
    reader = CsvReader(lambda *_: None, 10_000)

    def read() -> None:
        for start in range(0, len(data), size):
            reader.feed(data[start : start + size])

    with pytest.raises(TooManyRowsError):
        read()
    assert reader.row <= 10_000 + size
    CsvReader(lambda *_: None, 20_001).feed(data, final=True)
