"""What a record of the audit log says, the one way in which it is written as bytes, and the hash that links it.

    content  = JSON array [1, stream, at, party, user_id, role, token, request, action, subject, before, after]
               (ASCII, no blanks; what is missing is null; before and after are texts of JSON)
    digest   = SHA-256(content)
    hash     = SHA-256(hash of the record before || seq as 8 bytes, big-endian || digest)

The first record of a stream follows SHA-256("chfw audit " || stream). ADR 0081.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

from chfw_common.kernel.instants import Instant, format_instant

FORMAT = 1


class Entry(NamedTuple):
    """What was done, in the order in which it is hashed and stored.

    `at` is machine time. `token` is the token's `jti`, else its SHA-256, and never the token.
    `request` is the Idempotency-Key as it was sent. `before` and `after` are JSON as `as_json` writes it.
    """

    at: Instant
    party: str
    user_id: str
    role: str
    token: str
    request: str
    action: str
    subject: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """An entry in its place: `previous` is the hash of the record before it."""

    seq: int
    entry: Entry
    previous: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """Where a stream ends: the number and the hash of its last record."""

    seq: int
    hash: bytes


def as_json(value: Mapping[str, Any] | None) -> str | None:
    """A value as the log keeps it: ASCII, sorted, without blanks, so that no text in it can break a line."""
    return None if value is None else compact(value)


def compact(value: object) -> str:
    """JSON in the one form that is hashed and signed."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def digest_of(stream: str, entry: Entry) -> bytes:
    """The SHA-256 of an entry's content."""
    at, *others = entry
    content = [FORMAT, stream, format_instant(at), *others]
    return sha256(compact(content).encode("ascii")).digest()


def beginning(stream: str) -> bytes:
    """What the first record of a stream follows."""
    return sha256(f"chfw audit {stream}".encode()).digest()


def link(previous: bytes, seq: int, digest: bytes) -> bytes:
    """The hash of the record with this number and digest behind another."""
    return sha256(previous + seq.to_bytes(8, "big") + digest).digest()
