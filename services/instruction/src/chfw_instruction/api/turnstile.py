"""How many bodies of a Party one process reads at once, and one at a time of its requests being accepted.

Both are matters of this process: of its memory, and of its connections to Postgres. What counts for all processes
together is the quota, and Postgres keeps it.
"""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator

from fastapi import Request

from chfw_common.kernel.ids import PartyId
from chfw_common.runtime.clock import stopwatch
from chfw_common.runtime.http.quotas import Crowd, too_many

SMALL = 1 << 16
"""Bytes of a body that is small: many of them are soon read and take little memory."""


class Turnstile:
    """Lets in the large bodies of each Party, `at_once` of them together."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._large: Counter[PartyId] = Counter()
        self._crowds: defaultdict[PartyId, Crowd] = defaultdict(lambda: Crowd(at_once))
        self._lines: defaultdict[PartyId, asyncio.Lock] = defaultdict(asyncio.Lock)

    @contextlib.contextmanager
    def reading(self, request: Request, party: PartyId) -> Iterator[None]:
        """While the body is in memory. Raises Problem 429 before any of it is read."""
        if _is_small(request):
            yield
            return
        if self._large[party] >= self._at_once:
            detail = f"A Party may send {self._at_once} lists of more than {SMALL} bytes at once."
            raise too_many("too_many_large_bodies", detail, self._crowds[party].turn_away(stopwatch()))
        self._large[party] += 1
        try:
            yield
        finally:
            self._large[party] -= 1

    def line(self, party: PartyId) -> asyncio.Lock:
        """Held while a request is let in, and again while it is accepted: requests of one Party wait for each other
        anyway, and here they take one connection instead of all."""
        return self._lines[party]


def _is_small(request: Request) -> bool:
    """Whether it says so itself; what is packed, or does not say how long it is, may be of any size."""
    length = request.headers.get("content-length", "")
    plain = request.headers.get("content-encoding", "identity").strip().lower() == "identity"
    return plain and length.isascii() and length.isdecimal() and len(length) < 12 and int(length) <= SMALL
