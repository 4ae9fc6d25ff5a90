"""Lists of hubs that arrive in pieces: CSV and NDJSON, read row by row, nothing kept but the row at hand.

A reader takes bytes and hands texts on; what it cannot read it refuses with the number of the row. However the bytes
are cut, it hands on the same rows and refuses at the same one in the same words.
"""

import codecs
import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NoReturn

from chfw_common.kernel.texts import RepeatedNameError, distinct, shown
from chfw_instruction.domain.columns import MOST_COLUMNS, HeaderError, id_column

RECORD_LIMIT = 1 << 14
"""Characters one row may have."""
SHEET_ROWS = 1 << 20
"""Rows of a spreadsheet, blank ones counted."""
_UNCLOSED = "unexpected end"
_NOT_CSV = {
    _UNCLOSED: "a quote that opens in this row is never closed",
    "new-line": "a carriage return stands alone: end each row with CRLF or LF",
    "','": "text follows a closing quote: write a quote inside quotes twice",
}
"""How the refusals of Python's reader begin, and how to mend the row."""
_ONE_NAME = 4
_decode = json.JSONDecoder().decode
_decode_distinct = json.JSONDecoder(object_pairs_hook=distinct).decode

Add = Callable[[Sequence[str], Sequence[str]], None]
"""Takes entries and, for a CSV file of more columns, the rows they stand in."""


class MalformedListError(ValueError):
    """The list cannot be read from this row on.

    Rows count from 1 as a spreadsheet counts them: the header and blank rows too, and a row of several lines once.
    """

    def __init__(self, row: int, reason: str, line: int | None = None) -> None:
        where = f"Row {row}" if line in (None, row) else f"Row {row} (line {line})"
        super().__init__(f"{where}: {reason}.")
        self.row = row


class TooManyRowsError(ValueError):
    """The list has more rows than a request may have entries, blank ones counted."""


class _StarvedError(Exception):
    """The lines at hand end in the middle of a row."""


class _Text:
    """Bytes as text, up to the first character that no list may have."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._begun = False

    def take(self, data: bytes, *, final: bool) -> tuple[str, str | None]:
        """The text that these bytes complete, and what is wrong with what follows it."""
        fault = None
        try:
            text = self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            text, fault = error.object[: error.start].decode(), "the text is not UTF-8: save the file as UTF-8"
        if not self._begun and text:
            text, self._begun = text.removeprefix("\ufeff"), True
        if "\0" in text:
            text, fault = text[: text.index("\0")], "a NUL character"
        return text, fault


@dataclass(slots=True)
class _Found:
    """Entries, the rows they stand in where the file has more columns, and whether the file ends with these lines."""

    ends: bool
    texts: list[str] = field(default_factory=list)
    records: list[str] = field(default_factory=list)


class _Reader(ABC):
    """Hands whole lines on to be read, and the entries found in them to `add`, in order, before it refuses anything."""

    def __init__(self, add: Add, most_rows: int = SHEET_ROWS) -> None:
        self._add = add
        self._most_rows = most_rows
        self._text = _Text()
        self._rest = ""
        self.row = 0
        self.line = 0

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """Read the rows that are whole now."""
        added, fault = self._text.take(data, final=final)
        text = self._rest + added
        found = _Found(ends=final and fault is None)
        cut = len(text) if found.ends else text.rfind("\n") + 1
        self._rest = text[cut:]
        try:
            waiting = self._read(io.StringIO(text[:cut], newline="\n").readlines(), found)
            if self.row > self._most_rows:
                raise TooManyRowsError
            if waiting + len(self._rest) > RECORD_LIMIT:
                raise self.too_long()
            if fault is not None:
                raise self.refusal(fault)
        finally:
            self._add(found.texts, found.records)

    def refusal(self, reason: str) -> MalformedListError:
        """The refusal of the row that begins now."""
        return MalformedListError(self.row + 1, reason, self.line + 1)

    def too_long(self) -> MalformedListError:
        """The refusal of a row over the limit."""
        return self.refusal(f"longer than {RECORD_LIMIT} characters, or a quote is not closed")

    @abstractmethod
    def _read(self, lines: list[str], found: "_Found") -> int:
        """Read lines, the last of them maybe without an end. The characters of a row that needs more of them."""


class NdjsonReader(_Reader):
    """One JSON document a line: a string, or an object with `hub` alone. Empty lines are passed over."""

    def _read(self, lines: list[str], found: "_Found") -> int:
        for line in lines:
            if len(line) > RECORD_LIMIT and len(line.removesuffix("\n")) > RECORD_LIMIT:
                raise self.too_long()
            if not line.isspace():
                found.texts.append(self._hub_of(line))
            self.row += 1
            self.line += 1
        return 0

    def _hub_of(self, line: str) -> str:
        try:
            # Names are compared where there may be two of them: one name and its text have four quotes.
            document = _decode(line) if line.count('"') <= _ONE_NAME else _decode_distinct(line)
        except RepeatedNameError as error:
            raise self.refusal(str(error)) from error
        except (ValueError, RecursionError) as error:
            raise self.refusal("not a JSON document") from error
        if isinstance(document, str):
            return document
        hub = document.get("hub") if isinstance(document, dict) else None
        if not isinstance(document, dict) or not isinstance(hub, str):
            raise self.refusal("neither a string nor an object whose `hub` is one")
        if len(document) > 1:
            other = next(name for name in document if name != "hub")
            raise self.refusal(
                f"`{shown(other)}` is not known here: a line has `hub` alone, and the query states the terms"
            )
        return hub


class CsvReader(_Reader):
    """A header row with a column `hub` or `device_id`; of further columns the rows are kept as they stand.

    What is a row, and which cells it has, is what Python's reader (strict, RFC 4180) says. Rows of blank cells alone
    are passed over, and counted.
    """

    def __init__(self, add: Add, most_rows: int = SHEET_ROWS) -> None:
        super().__init__(add, most_rows)
        self._column = 0
        self._pending: list[str] = []
        self.header: list[str] = []

    def _read(self, lines: list[str], found: "_Found") -> int:
        lines = self._pending + lines
        rows = csv.reader(lines if found.ends else chain(lines, _Starved()), strict=True)
        begun, column, width = 0, self._column, len(self.header)
        try:
            for row in rows:
                end = rows.line_num
                record = lines[begun] if end == begun + 1 else "".join(lines[begun:end])
                if len(record) > RECORD_LIMIT:
                    self._check_length(record.removesuffix("\n"))
                # A row as most are; everything else is looked at below.
                if width and len(row) == width and not (cell := row[column]).isspace() and cell:
                    found.texts.append(cell)
                elif self._is_entry(row):
                    found.texts.append(row[column])
                else:
                    column, width, record = self._column, len(self.header), ""
                if width > 1 and record:
                    found.records.append(record.removesuffix("\n").removesuffix("\r"))
                self.row += 1
                self.line += end - begun
                begun = end
        except _StarvedError:
            pass
        except csv.Error as error:
            self._refuse("".join(lines[begun : rows.line_num]), error)
        if found.ends and not self.header:
            raise MalformedListError(1, "no header: the first row names the columns, `hub` or `device_id` among them")
        self._pending = lines[begun:]
        return sum(map(len, self._pending))

    def _is_entry(self, row: list[str]) -> bool:
        """Whether a row that is not as most are is an entry; takes the header. Raises MalformedListError."""
        if not any(map(str.strip, row)):
            if len(row) > MOST_COLUMNS:
                raise self.refusal(f"{len(row)} columns, {MOST_COLUMNS} are the most: leave out what is blank")
            return False
        if not self.header:
            try:
                self._column = id_column(row)
            except HeaderError as error:
                raise self.refusal(str(error)) from error
            self.header = row
            return False
        if len(row) != len(self.header):
            wide = f"{len(row)} columns, the header has {len(self.header)}"
            raise self.refusal(f"{wide}: a text with a comma needs quotes")
        return True

    def _refuse(self, record: str, error: csv.Error) -> NoReturn:
        said = str(error)
        # A row that never ends had all of this before its end; in pieces that would have been too long.
        self._check_length(record if said.startswith(_UNCLOSED) else record.removesuffix("\n"))
        mended = (mend for begin, mend in _NOT_CSV.items() if said.startswith(begin))
        raise self.refusal(next(mended, f"not CSV ({said})")) from error

    def _check_length(self, record: str) -> None:
        if len(record) > RECORD_LIMIT:
            raise self.too_long()


class _Starved(Iterator[str]):
    """Where the lines at hand end: what wants one more line is told that there is none yet."""

    def __next__(self) -> str:
        raise _StarvedError
