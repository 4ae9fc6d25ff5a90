"""Verdicts as CSV: the list as it was sent, each row with its hub and its verdict in front.

A cell that a spreadsheet would take for a formula gets an apostrophe; the other forms give it as it was sent.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from chfw_common.kernel.cells import csv_row, harmless, harmless_rows
from chfw_common.kernel.ids import hub_eui64
from chfw_common.runtime.http.lines import Lines
from chfw_common.runtime.http.paging import CSV, VARY
from chfw_instruction.stages.report import Judged

OURS = ("hub", "verdict")
AS_SENT = "as_sent"
_LINES = 2_000


def csv_response(load: Callable[[int], Awaitable[Judged | None]], header: Sequence[str] | None, name: str) -> Lines:
    """All that is judged, one stored part after the other; each is read when it is due, so memory stays flat."""

    async def lines() -> AsyncGenerator[bytes, None]:
        yield csv_row([*OURS, *map(harmless, renamed(header) if header else [AS_SENT])]).encode()
        chunk = 0
        while (part := await load(chunk)) is not None:
            for start in range(0, len(part.raw), _LINES):
                yield _rows(part, slice(start, start + _LINES)).encode()
            chunk += 1

    headers = {**VARY, "Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Lines(lines(), f"{CSV}; charset=utf-8", headers)


def renamed(header: Sequence[str]) -> list[str]:
    """The sender's columns; a name that is taken already gets `_as_sent` behind it."""
    taken = set(OURS)
    names = []
    for name in header:
        while name in taken:
            name = f"{name}_{AS_SENT}"
        taken.add(name)
        names.append(name)
    return names


def _rows(part: Judged, cut: slice) -> str:
    hubs = ["" if hub is None else hub_eui64(hub) for hub in part.hubs[cut]]
    said = part.verdicts[cut]
    if part.records is not None:
        # The row stands there as it was sent: it was CSV then.
        return harmless_rows("".join(f"{h},{v},{r}\r\n" for h, v, r in zip(hubs, said, part.records[cut], strict=True)))
    return "".join(
        f"{h},{v},{r}\r\n" if _is_plain(r) else csv_row([h, v, harmless(r)])
        for h, v, r in zip(hubs, said, part.raw[cut], strict=True)
    )


def _is_plain(raw: str) -> bool:
    """Whether it stands in a row as it is: what most entries are, an id with its hyphens or without."""
    return raw[:1].isalnum() and raw.replace("-", "").isalnum()
