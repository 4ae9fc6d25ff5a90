"""Moving the story's time: the paced clock of live services, which waits while they are behind."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from chfw_cli.demo.backlog import AWAY, SMALL, Backlog
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.clock import Pace, machine_now, read_pace, write_pace

T = TypeVar("T")

RATE = 86_400.0
"""A day a second."""
AHEAD = timedelta(hours=6)
LOOK_EVERY = 0.05
LONGEST_LOOK = 2.0
"""Seconds between two looks beyond which the time between them is not counted as busy."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Machine seconds in which anything was under way, and rows written."""

    busy_seconds: float = 0.0
    rows_written: int = 0


class Timeline(Protocol):
    """What the story needs of time."""

    async def until(self, instant: Instant) -> None:
        """Return when the story's time is there and everything due before has been dealt with."""
        ...

    async def side_by_side(self, works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """Do several things at once, where time is real; one after the other where it is not."""
        ...

    async def work(self) -> None:
        """Let the services work, where they do not by themselves."""
        ...

    async def merged(self) -> None:
        """Return when every accepted answer is in the scheduler's ledger."""
        ...

    async def open_hubs(self) -> int:
        """Hubs that have not come to an end, those that nobody can reach left aside."""
        ...

    async def effort(self) -> Effort:
        """What it has cost so far."""
        ...


async def set_clock(admin: Any, begins: Instant, rate: float = RATE) -> None:
    """Set the paced clock to stand still at an instant."""
    await write_pace(admin, Pace(machine_now(), begins, rate, begins))


@dataclass
class PacedTimeline:
    """Lets the paced clock run, never more than six hours ahead of what the services have dealt with."""

    backlog: Backlog
    rate: float = RATE
    busy_seconds: float = 0.0
    looked_at: float = 0.0

    async def until(self, instant: Instant) -> None:
        """Return when the clock stands at the instant and nothing is left undone."""
        await self._until(lambda: self._advance(instant))

    async def side_by_side(self, works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """Do several things at once."""
        return list(await asyncio.gather(*works))

    async def work(self) -> None:
        """The services run by themselves."""

    async def merged(self) -> None:
        """Return when intake has published everything and the scheduler has settled it."""
        await self._until(self.backlog.merged)

    async def open_hubs(self) -> int:
        """Hubs that have not come to an end, those that nobody can reach left aside."""
        return await self._patiently(self.backlog.open_hubs)

    async def effort(self) -> Effort:
        """What it has cost so far."""
        return Effort(self.busy_seconds, await self._patiently(self.backlog.rows_written))

    async def _until(self, happens: Callable[[], Awaitable[bool]]) -> None:
        """Look again and again until it happens."""
        while True:
            if await self._patiently(happens):
                return
            await asyncio.sleep(LOOK_EVERY)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until the servers answer, each time over a fresh connection."""
        while True:
            try:
                return await ask()
            except AWAY:
                self.backlog.forget()
            await asyncio.sleep(LOOK_EVERY)

    def _note(self, waiting: int) -> None:
        looked, self.looked_at = self.looked_at, time.monotonic()
        if waiting:
            self.busy_seconds += min(self.looked_at - looked, LONGEST_LOOK)

    async def _advance(self, instant: Instant) -> bool:
        connection = await self.backlog.connection()
        pace = await read_pace(connection)
        now = pace.at(machine_now())
        waiting = await self.backlog.count()
        self._note(waiting)
        idle = waiting <= SMALL
        if now >= instant:
            return idle and await self.backlog.none(now)
        if idle and now + AHEAD / 2 >= pace.hold_at and not await self.backlog.due(now - AHEAD):
            await write_pace(connection, Pace(machine_now(), now, self.rate, min(instant, now + AHEAD)))
        return False
