"""Keyset paging: an opaque cursor in, a cursor out; long lists as NDJSON, page by page, or as CSV."""

import base64
import binascii
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any

import orjson

from chfw_common.runtime.http.lines import Lines
from chfw_common.runtime.http.problems import Problem

NDJSON = "application/x-ndjson"
CSV = "text/csv"
VARY = {"Vary": "Accept"}
"""What a list says whose form was negotiated."""

Page = tuple[Sequence[dict[str, Any]], int | None]
"""Rows as they are shown, and the position after the last of them (None: there are no more)."""


def write_cursor(position: int) -> str:
    """A position as clients see it: text they hand back and do not read."""
    return base64.urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def read_cursor(cursor: str | None) -> int | None:
    """The position of a cursor. Raises Problem 422 for text that was never one."""
    if cursor is None:
        return None
    try:
        position = int(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise Problem(422, "invalid_cursor", "`after` takes the `next` of an earlier answer.") from error
    if not -(1 << 63) <= position < 1 << 63:
        raise Problem(422, "invalid_cursor", "`after` takes the `next` of an earlier answer.")
    return position


def ndjson(pages: Callable[[int | None], Coroutine[Any, Any, Page]], after: int | None) -> Lines:
    """Everything after a position as lines; each page is read in a transaction of its own, so memory stays flat."""

    async def lines() -> AsyncGenerator[bytes, None]:
        position = after
        while True:
            rows, following = await pages(position)
            if rows:
                yield b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
            if following is None:
                return
            position = following

    return Lines(lines(), NDJSON, VARY)
