"""How much one Party may ask of a service: requests per minute by a bucket in Postgres, and requests at once.

The DCC has no quota: whoever floods a service must not keep a pause or a stop from it.
"""

import asyncio
import contextlib
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from chfw_common.kernel.ids import PartyId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.clock import machine_now, stopwatch
from chfw_common.runtime.database import Database
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.transient import transient_as_error

QUERIES = load_queries("chfw_common.runtime", "sql/quotas.sql")
LONGEST_WAIT = 60.0
"""Seconds that somebody is told to wait at most who was turned away in a crowd."""


def too_many(code: str, detail: str, seconds: float) -> Problem:
    """The refusal of a request over a quota; `seconds` from now the next may be taken."""
    return Problem(429, code, detail, headers={"Retry-After": str(max(1, math.ceil(seconds)))})


class Crowd:
    """Those who were turned away because so many were in: each is told a later second to come back, so that they do not
    all come at once. `at_once` of them are thought to get in each second."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._waiting = 0.0
        self._at = 0.0

    def turn_away(self, seconds: float) -> float:
        """In how many seconds the next of them may come; `seconds` is the time of a stopwatch."""
        gone = max(0.0, seconds - self._at) * self._at_once
        self._waiting, self._at = max(0.0, self._waiting - gone) + 1, seconds
        return min(self._waiting / self._at_once, LONGEST_WAIT)


@dataclass(frozen=True, slots=True)
class RequestQuota:
    """What each Party may ask of one service. `of`: requests a minute of Parties that have more, or fewer, than others.

    `burst`: how many may come together when none came before. `at_once`: how many may be under way in one process.
    """

    per_minute: int
    burst: int
    at_once: int
    of: Mapping[PartyId, int] = field(default_factory=dict)

    def per_second(self, party: PartyId) -> float:
        """How many requests a second flow into the bucket of a Party."""
        return self.of.get(party, self.per_minute) / 60

    def most(self, party: PartyId) -> float:
        """The most that the bucket of a Party holds; it grows with the Party's own rate."""
        return max(1.0, self.burst * self.of.get(party, self.per_minute) / self.per_minute)


@dataclass(slots=True)
class _Standing:
    """A Party in this process. `line`: one request at a time asks Postgres, so a flood takes one connection.

    Until `empty_until` no process can have a token of the bucket.
    """

    crowd: Crowd
    under_way: int = 0
    line: asyncio.Lock = field(default_factory=asyncio.Lock)
    empty_until: Instant | None = None


class Admission:
    """Lets the requests of Parties in, as far as their quota goes. `now` is machine time."""

    def __init__(self, database: Database, quota: RequestQuota, now: Callable[[], Instant] = machine_now) -> None:
        self._database = database
        self._quota = quota
        self._now = now
        self._parties: defaultdict[PartyId, _Standing] = defaultdict(lambda: _Standing(Crowd(quota.at_once)))

    async def enter(self, held: contextlib.ExitStack, party: PartyId) -> None:
        """Count a request until `held` is given back. Raises Problem 429."""
        standing = self._parties[party]
        if standing.under_way >= self._quota.at_once:
            detail = f"A Party may have {self._quota.at_once} requests under way at once."
            raise too_many("too_many_at_once", detail, standing.crowd.turn_away(stopwatch()))
        standing.under_way += 1
        held.callback(_leave, standing)
        async with standing.line:
            await self._take(party, standing)

    async def _take(self, party: PartyId, standing: _Standing) -> None:
        now, rate = self._now(), self._quota.per_second(party)
        if standing.empty_until is None or standing.empty_until <= now:
            async with transient_as_error(), self._database.looking() as tx:
                if await tx.fetchval(QUERIES["take_token"], party, self._quota.most(party), rate, now) is not None:
                    return
                due = await tx.fetchval(QUERIES["token_due"], party, rate, now)
            standing.empty_until = now + timedelta(seconds=max(due or 0.0, 0.0))
        per_minute = round(rate * 60)
        detail = f"A Party may send {per_minute} requests a minute to this service."
        raise too_many("too_many_requests", detail, (standing.empty_until - now).total_seconds())


def _leave(standing: _Standing) -> None:
    standing.under_way -= 1
