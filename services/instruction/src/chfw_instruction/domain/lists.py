"""Lists of hubs that arrive in pieces: CSV and NDJSON, read row by row, nothing kept but the row at hand.

A reader takes bytes and hands texts on; what it cannot read it refuses with the number of the row.
"""

import codecs
import csv
import json
from collections.abc import Callable, Iterator, Sequence

RECORD_LIMIT = 1 << 14
"""Characters one row may have."""
ID_COLUMNS = ("hub", "device_id")

Add = Callable[[Sequence[str], Sequence[str]], None]
"""Takes entries and, for a CSV file of more columns, the rows they stand in."""


class MalformedListError(ValueError):
    """The list cannot be read from this row on.

    Lines of NDJSON count from 1, and so do rows of CSV that are not blank, the header included.
    """

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(f"Row {row}: {reason}.")
        self.row = row


class _Rows:
    """Text in pieces, cut where no row is torn."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._begun = False
        self._rest = ""
        self.row = 0

    def feed(self, data: bytes, *, final: bool = False) -> str:
        """The text of whole rows so far not handed on."""
        try:
            text = self._rest + self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            raise MalformedListError(self.row + 1, "the text is not UTF-8") from error
        if not self._begun and text:
            text, self._begun = text.removeprefix("\ufeff"), True
        if "\0" in text:
            raise MalformedListError(self.row + 1, "a NUL character")
        cut = len(text) if final else self.boundary(text)
        self._rest = text[cut:]
        return text[:cut]

    def refuse_long(self) -> None:
        """Refuse a row that has no end yet and is too long already."""
        if len(self._rest) > RECORD_LIMIT:
            raise MalformedListError(self.row + 1, f"longer than {RECORD_LIMIT} characters, or a quote is not closed")

    def boundary(self, text: str) -> int:
        """Where the last whole row ends."""
        return text.rfind("\n") + 1


class _CsvRows(_Rows):
    def boundary(self, text: str) -> int:
        """A line end inside quotes belongs to its row: before the end of a row, quotes are even in number."""
        cut = text.rfind("\n") + 1
        while cut and text.count('"', 0, cut) % 2:
            cut = text.rfind("\n", 0, text.rfind('"', 0, cut)) + 1
        return cut


class NdjsonReader:
    """One JSON document a line: a string, or an object with `hub`. Empty lines are passed over."""

    def __init__(self, add: Add) -> None:
        self._rows = _Rows()
        self._add = add

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """Read the lines that are whole now."""
        texts: list[str] = []
        rows = self._rows
        for line in rows.feed(data, final=final).split("\n"):
            rows.row += 1
            if line and not line.isspace():
                if len(line) > RECORD_LIMIT:
                    raise MalformedListError(rows.row, f"longer than {RECORD_LIMIT} characters")
                texts.append(_hub_of(line, rows.row))
        rows.row -= 1  # what follows the last line end
        rows.refuse_long()
        self._add(texts, ())


def _hub_of(line: str, row: int) -> str:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MalformedListError(row, "not a JSON document") from error
    hub = document.get("hub") if isinstance(document, dict) else document
    if not isinstance(hub, str):
        raise MalformedListError(row, "neither a string nor an object whose `hub` is one")
    return hub


class CsvReader:
    """A header row with a column `hub` or `device_id`; of further columns the rows are kept as they stand."""

    def __init__(self, add: Add) -> None:
        self._rows = _CsvRows()
        self._add = add
        self._column = 0
        self.header: list[str] = []

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """Read the rows that are whole now."""
        text = self._rows.feed(data, final=final)
        cells: list[str] = []
        records: list[str] = []
        for record, row in self._parse(text):
            if not self.header:
                self._begin(row)
            elif len(row) != len(self.header):
                raise MalformedListError(self._rows.row, f"{len(row)} columns, the header has {len(self.header)}")
            else:
                cells.append(row[self._column])
                records.append(record)
        self._rows.refuse_long()
        if final and not self.header:
            raise MalformedListError(1, "no header")
        self._add(cells, records if len(self.header) > 1 else ())

    def _begin(self, row: list[str]) -> None:
        names = [name.strip().lower() for name in row]
        found = [names.index(name) for name in ID_COLUMNS if name in names]
        if not found:
            raise MalformedListError(self._rows.row, "the header has no column `hub` or `device_id`")
        if names.count(names[found[0]]) > 1:
            raise MalformedListError(self._rows.row, f"the header has the column `{names[found[0]]}` twice")
        self.header, self._column = row, found[0]

    def _parse(self, text: str) -> Iterator[tuple[str, list[str]]]:
        """(the row as it stands, its cells) of each row that is not blank."""
        taken: list[str] = []

        def offered() -> Iterator[str]:
            for line in text.split("\n"):
                taken.append(line)
                yield line + "\n"

        rows = csv.reader(offered(), strict=True)
        while True:
            try:
                row = next(rows, None)
            except csv.Error as error:
                raise MalformedListError(self._rows.row + 1, f"not CSV ({error})") from error
            if row is None:
                return
            record = "\n".join(taken).removesuffix("\r")
            taken.clear()
            if record:
                self._rows.row += 1
                if len(record) > RECORD_LIMIT:
                    raise MalformedListError(self._rows.row, f"longer than {RECORD_LIMIT} characters")
                yield record, row
