"""Lists in pieces: however the bytes are cut, the same entries or the same refusal, and never anything else."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chfw_instruction.domain.lists import RECORD_LIMIT, CsvReader, MalformedListError, NdjsonReader
from tests.support.fuzzing import inputs

Reader = Callable[[Callable[..., None]], CsvReader | NdjsonReader]
Read = tuple[list[str], list[str]] | int


def read(make: Reader, data: bytes, size: int) -> Read:
    """(entries, rows), or the number of the row that was refused."""
    entries: list[str] = []
    records: list[str] = []

    def add(texts: list[str], rows: list[str]) -> None:
        entries.extend(texts)
        records.extend(rows)

    reader = make(add)
    try:
        for start in range(0, len(data), size):
            reader.feed(data[start : start + size])
        reader.feed(b"", final=True)
    except MalformedListError as error:
        return error.row
    return entries, records


ROWS = b'site,HUB ,note\r\n1,aa,x\r\n\r\n2,"b,b","two\r\nlines, ""said"""\r\n3,cc,\r\n'


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
        (CsvReader, b"hub\n\xff\n", 1),
        (CsvReader, b"hub\na\0a\n", 1),
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


@inputs(quick=100)
@given(st.lists(st.tuples(cell, cell, cell).filter(any), max_size=8), st.integers(1, 20))
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
    lines = [json.dumps({"hub": text, "n": n} if wrapped else text) for n, text in enumerate(texts)]
    assert read(NdjsonReader, "\n".join(lines).encode(), size) == (texts, [])


pieces = st.lists(st.sampled_from([b"hub", b",", b'"', b"\n", b"\r\n", b"\r", b"aa", b"{", b"}", b":", b"\xff", b"\0"]))


@pytest.mark.parametrize("make", [CsvReader, NdjsonReader])
@inputs(quick=100)
@given(data=st.one_of(st.binary(), pieces.map(b"".join), pieces.map(lambda parts: b"hub,x\n" + b"".join(parts))))
def test_any_bytes_are_read_or_refused_alike_however_they_are_cut(make: Any, data: bytes) -> None:
    whole, torn = read(make, data, 1 << 16), read(make, data, 1)
    assert isinstance(whole, int) == isinstance(torn, int)
    if not isinstance(whole, int):
        assert whole == torn
