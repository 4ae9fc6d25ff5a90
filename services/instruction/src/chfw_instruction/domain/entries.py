"""The entries of a request as they were listed: read, and compared with those before them."""

from collections.abc import Iterable
from dataclasses import dataclass

from chfw_common.kernel.ids import HubId, InvalidIdError, parse_hub_id

RAW_LIMIT = 64
"""Characters of a malformed entry that are kept: enough to find it again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One listed id. `hub` is None when it is not an EUI-64; `raw` is what the sender wrote."""

    raw: str
    hub: HubId | None
    duplicate: bool


def read_entries(texts: Iterable[str]) -> list[Entry]:
    """Read the ids in order. The second and later mention of a hub, in whatever spelling, is a duplicate."""
    seen: set[HubId] = set()
    entries: list[Entry] = []
    for text in texts:
        try:
            hub = parse_hub_id(text.strip())
        except InvalidIdError:
            entries.append(Entry(_printable(text), None, duplicate=False))
            continue
        entries.append(Entry(text.strip(), hub, duplicate=hub in seen))
        seen.add(hub)
    return entries


def _printable(text: str) -> str:
    """Text that every store and log can hold: ASCII, control characters escaped, cut to the limit."""
    return ascii(text[:RAW_LIMIT])[1:-1][:RAW_LIMIT]
