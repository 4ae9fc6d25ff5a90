"""What a record may carry and Postgres cannot keep as it stands: NUL in a text, headers without a value, names that are
not UTF-8."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

Headers: TypeAlias = Sequence[tuple[str, bytes | None]]

_NUL_SIGN = "\u0100"
"""Stands for NUL: the first character that no byte read as Latin-1 gives."""
_BYTES = "latin-1"
"""Stands behind a name whose bytes were read as Latin-1: one that is not UTF-8, or has the sign for NUL in it."""


def read_headers(pairs: Iterable[tuple[str, bytes | None]]) -> Headers:
    """The headers of a record as a client hands them over."""
    return tuple((name, None if value is None else bytes(value)) for name, value in pairs)


def is_utf8(name: str) -> bool:
    """Whether the name of a header was UTF-8: a byte that was not stands in it as a lone surrogate."""
    return name.isascii() or not any("\udc80" <= sign <= "\udcff" for sign in name)


def keep_headers(headers: Headers) -> list[list[str | None]]:
    """Headers as JSON that Postgres takes, whatever their bytes are: name, value; for some names a third word."""
    return [_keep(name, None if value is None else _without_nul(value.decode("latin-1"))) for name, value in headers]


def kept_headers(rows: Sequence[Sequence[str | None]]) -> Headers:
    """The same read back, to the byte."""
    return tuple(
        (_name(row[0] or "", *row[2:]), None if row[1] is None else _with_nul(row[1]).encode("latin-1")) for row in rows
    )


def _keep(name: str, text: str | None) -> list[str | None]:
    if is_utf8(name) and _NUL_SIGN not in name:
        return [_without_nul(name), text]
    return [_without_nul(name.encode("utf-8", "surrogateescape").decode("latin-1")), text, _BYTES]


def _name(kept: str, form: str | None = None) -> str:
    if form != _BYTES:
        return _with_nul(kept)
    return _with_nul(kept).encode("latin-1").decode("utf-8", "surrogateescape")


def keep_error(text: str) -> str:
    """What was wrong, as a text that Postgres takes. It may quote what was sent."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")[:2000]


def _without_nul(text: str) -> str:
    return text.replace("\0", _NUL_SIGN)


def _with_nul(text: str) -> str:
    return text.replace(_NUL_SIGN, "\0")
