"""Digests of rows: what an audit record keeps of more content than belongs into it."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

import orjson


def digest_of_rows(rows: Iterable[Sequence[Any]]) -> str:
    """The SHA-256, in hexadecimal, of rows in their order: a line of JSON for each, instants as RFC 3339."""
    digest = sha256()
    for row in rows:
        digest.update(orjson.dumps(tuple(row), option=orjson.OPT_APPEND_NEWLINE))
    return digest.hexdigest()
