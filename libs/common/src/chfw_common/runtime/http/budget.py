"""What the bodies of all requests under way may hold at once: bounded for the process, and for each Party.

A request counts with the decoded bytes it has read, from the first of them to the end of the request: what was made of
them lives as long.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from chfw_common.kernel.ids import PartyId
from chfw_common.runtime.http.problems import Problem

BODY = "body"
"""Where a request has its `Held`, in the state of its scope."""
_PARTY_BYTES = 2
_PARTY_BODIES = 4
"""A Party may have one half of the bytes and one quarter of the number."""


@dataclass(frozen=True, slots=True)
class BodyBounds:
    """`size`: decoded bytes of all bodies under way. `number`: how many bodies."""

    size: int = 128 << 20
    number: int = 64


class Bodies:
    """The bodies under way in one process."""

    def __init__(self, bounds: BodyBounds) -> None:
        self._bounds = bounds
        self._size: Counter[PartyId] = Counter()
        self._number: Counter[PartyId] = Counter()

    @property
    def size(self) -> int:
        """Bytes held now."""
        return self._size.total()

    @contextlib.contextmanager
    def of(self, party: PartyId) -> Iterator["Held"]:
        """What a request of the Party holds, nothing at first; given back at the end of the block."""
        held = Held(self, party)
        try:
            yield held
        finally:
            self._take(party, -held.size, -1 if held.begun else 0)
            held.size, held.begun = 0, False

    def take(self, party: PartyId, size: int, number: int) -> None:
        """Count more. Raises Problem 429 when the Party has its share, 503 when the process is full."""
        bounds = self._bounds
        if (
            self._size[party] + size > bounds.size // _PARTY_BYTES
            or self._number[party] + number > bounds.number // _PARTY_BODIES
        ):
            raise _too_many()
        if self.size + size > bounds.size or self._number.total() + number > bounds.number:
            raise _full()
        self._take(party, size, number)

    def _take(self, party: PartyId, size: int, number: int) -> None:
        for counter, more in ((self._size, size), (self._number, number)):
            counter[party] += more
            if not counter[party]:
                del counter[party]


@dataclass(slots=True)
class Held:
    """The body of one request. `size`: its bytes so far."""

    _bodies: Bodies
    _party: PartyId
    size: int = 0
    begun: bool = field(default=False)

    def take(self, size: int) -> None:
        """Read so many bytes more. Raises Problem 429 or 503; then they do not count."""
        self._bodies.take(self._party, size, 0 if self.begun else 1)
        self.size, self.begun = self.size + size, True


def _too_many() -> Problem:
    said = "The Party has too many bodies under way: wait for their answers. Nothing of this request was done."
    return Problem(429, "too_many_bodies", said, headers={"Retry-After": "2", "Connection": "close"})


def _full() -> Problem:
    said = "Too many bodies are under way. Nothing of this request was done."
    return Problem(503, "busy", said, headers={"Retry-After": "2", "Connection": "close"})
