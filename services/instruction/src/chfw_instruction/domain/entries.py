"""The entries of a request as they were listed: read, compared with those before them, kept in chunks."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chfw_common.kernel.ids import HubId, InvalidIdError, parse_hub_id

RAW_LIMIT = 64
"""Characters of a malformed entry that are kept: enough to find it again."""
CHUNK_ENTRIES = 10_000
"""Entries of one stored chunk, which one step of the job judges in one transaction."""
_SEPARATOR = "\n"
_NEVER_IN_A_RECORD = "\0"


class TooManyEntriesError(ValueError):
    """The list is longer than a request may be."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Entries as they are stored, packed: thousands of short texts cost several times their length.

    `hub` of an entry is None when it is not an EUI-64; `raw` is what the sender wrote. `records` are the rows of a CSV
    file as they stood there, None for a list that has nothing but ids.
    """

    packed: str
    numbers: "array[int]"
    malformed: frozenset[int]
    duplicates: frozenset[int]
    packed_records: str | None = None

    def __len__(self) -> int:
        """How many entries."""
        return len(self.numbers)

    @property
    def raw(self) -> list[str]:
        """What was written, entry by entry."""
        return self.packed.split(_SEPARATOR)

    @property
    def records(self) -> list[str] | None:
        """The rows of the file, entry by entry."""
        return None if self.packed_records is None else self.packed_records.split(_NEVER_IN_A_RECORD)

    @property
    def hubs(self) -> list[HubId | None]:
        """The hubs meant, entry by entry."""
        return [None if n in self.malformed else HubId(hub) for n, hub in enumerate(self.numbers)]


@dataclass(slots=True)
class Listing:
    """A list of hubs while it is read, in order. The second and later mention of a hub, however spelt, is a duplicate.

    Raises TooManyEntriesError at the first entry beyond `limit`.
    """

    limit: int
    chunks: list[Chunk] = field(default_factory=list)
    _seen: set[HubId] = field(default_factory=set)
    _raw: list[str] = field(default_factory=list)
    _records: list[str] = field(default_factory=list)
    _hubs: "array[int]" = field(default_factory=lambda: array("q"))
    _malformed: set[int] = field(default_factory=set)
    _duplicates: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        """How many entries were added."""
        return len(self.chunks) * CHUNK_ENTRIES + len(self._raw)

    def add(self, texts: Sequence[str], records: Sequence[str] = ()) -> None:
        """Add entries, with the rows of the file they came from."""
        if len(self) + len(texts) > self.limit:
            raise TooManyEntriesError(self.limit)
        begin = 0
        while begin < len(texts):
            end = begin + CHUNK_ENTRIES - len(self._raw)
            self._records += records[begin:end]
            self._add(texts[begin:end])
            if len(self._raw) == CHUNK_ENTRIES:
                self._seal()
            begin = end

    def close(self) -> list[Chunk]:
        """The list is over: all chunks in order."""
        if self._raw:
            self._seal()
        self._seen = set()
        return self.chunks

    def _add(self, texts: Iterable[str]) -> None:
        raw, hubs, seen = self._raw, self._hubs, self._seen
        for text in texts:
            try:
                hub = parse_hub_id(text.strip())
            except InvalidIdError:
                self._malformed.add(len(raw))
                raw.append(printable(text))
                hubs.append(0)
                continue
            if hub in seen:
                self._duplicates.add(len(raw))
            seen.add(hub)
            raw.append(text.strip())
            hubs.append(hub)

    def _seal(self) -> None:
        self.chunks.append(
            Chunk(
                _SEPARATOR.join(self._raw),
                self._hubs,
                frozenset(self._malformed),
                frozenset(self._duplicates),
                _NEVER_IN_A_RECORD.join(self._records) if self._records else None,
            )
        )
        self._raw, self._records, self._hubs, self._malformed, self._duplicates = [], [], array("q"), set(), set()


def read_entries(texts: Sequence[str], limit: int | None = None) -> list[Chunk]:
    """Read a whole list."""
    listing = Listing(len(texts) if limit is None else limit)
    listing.add(texts)
    return listing.close()


def printable(text: str) -> str:
    """Text that every store and log can hold: ASCII, control characters escaped, cut to the limit."""
    return ascii(text[:RAW_LIMIT])[1:-1][:RAW_LIMIT]
