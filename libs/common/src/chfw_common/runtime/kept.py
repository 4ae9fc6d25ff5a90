"""What a record may carry and Postgres cannot keep as it stands: NUL in a text, headers without a value."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

Headers: TypeAlias = Sequence[tuple[str, bytes | None]]

_NUL_SIGN = "\u0100"
"""Stands for NUL: the first character that no byte read as Latin-1 gives."""


def read_headers(pairs: Iterable[tuple[str, bytes | None]]) -> Headers:
    """The headers of a record as a client hands them over."""
    return tuple((name, None if value is None else bytes(value)) for name, value in pairs)


def keep_headers(headers: Headers) -> list[list[str | None]]:
    """Headers as JSON that Postgres takes, whatever their bytes are."""
    return [
        [_without_nul(name), None if value is None else _without_nul(value.decode("latin-1"))]
        for name, value in headers
    ]


def kept_headers(rows: Sequence[Sequence[str | None]]) -> Headers:
    """The same read back, to the byte."""
    return tuple(
        (_with_nul(name or ""), None if text is None else _with_nul(text).encode("latin-1")) for name, text in rows
    )


def keep_error(text: str) -> str:
    """What was wrong, as a text that Postgres takes. It may quote what was sent."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")[:2000]


def _without_nul(text: str) -> str:
    return text.replace("\0", _NUL_SIGN)


def _with_nul(text: str) -> str:
    return text.replace(_NUL_SIGN, "\0")
