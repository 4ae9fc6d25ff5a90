"""Identifiers of hubs, Parties and releases.

A hub is known by the EUI-64 of its CHF (DUIS type EUI). On the wire towards people it is eight upper-case hex pairs
joined by hyphens; as a Kafka key and in events it is 16 lower-case hex digits; inside it is the signed 64-bit number
with the same bits, because that is what a Postgres `bigint` holds and what `to_hex` shows again.
"""

import re
from typing import NewType

HubId = NewType("HubId", int)
PartyId = NewType("PartyId", str)
UserId = NewType("UserId", str)
ReleaseId = NewType("ReleaseId", str)

_HYPHENATED = re.compile(r"(?:[0-9A-Fa-f]{2}-){7}[0-9A-Fa-f]{2}")
_BYTES = 8
LEAST_HUB = -(1 << 63)
GREATEST_HUB = (1 << 63) - 1
LONGEST_RELEASE = 40
"""Characters that the id of a release may have."""
LONGEST_NAME = 200
"""Characters that the name of a Party, of a User ID or of an edge may have: they stand in indices of Postgres."""


class InvalidIdError(ValueError):
    """The text is not an EUI-64."""


def parse_hub_id(text: str) -> HubId:
    """Read an EUI-64 in either spelling, either case. Raises InvalidIdError for anything else."""
    digits = text
    if len(text) != 2 * _BYTES and _HYPHENATED.fullmatch(text) is not None:
        digits = text.replace("-", "")
    try:
        # Blanks between pairs pass here; but eight bytes from 16 characters leave room for none.
        raw = bytes.fromhex(digits) if len(digits) == 2 * _BYTES else b""
    except ValueError:
        raw = b""
    if len(raw) != _BYTES:
        raise InvalidIdError("not an EUI-64: eight hex pairs joined by hyphens, or 16 hex digits")
    return HubId(int.from_bytes(raw, "big", signed=True))


def hub_hex(hub: HubId) -> str:
    """16 lower-case hex digits: the spelling of events and Kafka keys."""
    return hub.to_bytes(_BYTES, "big", signed=True).hex()


def hub_key(hub: HubId) -> bytes:
    """The Kafka key of a hub."""
    return hub_hex(hub).encode("ascii")


def hub_eui64(hub: HubId) -> str:
    """Eight upper-case hex pairs joined by hyphens: the spelling of DUIS and of every page and report."""
    return hub.to_bytes(_BYTES, "big", signed=True).hex("-").upper()
