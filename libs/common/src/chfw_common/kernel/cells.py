"""Cells of a CSV file as a spreadsheet opens them: a text that it would take for a formula gets an apostrophe in front.

This is what OWASP advises against "CSV injection". A plain number stays as it is: it is no formula (ADR 0072).
"""

import csv
import io
import re

_STARTS = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
"""What a formula begins with: OWASP's list, the wide forms that some spreadsheets read alike among it."""
_MAY_START = re.compile(rf'(?:^|[,"\n])[ ]*(?!\r\n)[{_STARTS}]')
_FORMULA = re.compile(rf"[ ]*[{_STARTS}]")
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}([.,][0-9]{1,30})?")
_MARK = "'"


def harmless(cell: str) -> str:
    """The cell as no spreadsheet takes it for a formula."""
    return _MARK + cell if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def harmless_rows(text: str) -> str:
    """The rows of a CSV text with harmless cells; as it is when there is nothing to change."""
    if _MAY_START.search(text) is None:
        return text
    rows = list(csv.reader(io.StringIO(text, newline="")))
    made = [[harmless(cell) for cell in row] for row in rows]
    return text if made == rows else "".join(map(csv_row, made))


def csv_row(cells: list[str]) -> str:
    """One row of a CSV file (RFC 4180)."""
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
