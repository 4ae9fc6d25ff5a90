"""The only file that reads the time.

`Clock.now` is the roll-out's time: real, or paced (a day a second, for demo and load). Machine time is for retries,
lag, tokens and skew, and stays what it is.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import asyncpg

from chfw_common.kernel.instants import Instant


def machine_now() -> Instant:
    """The machine's own time, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - this is the one place


def stopwatch() -> float:
    """Seconds of the machine's monotonic clock: for durations only."""
    return time.monotonic()


class Clock(Protocol):
    """The time a service acts by."""

    def now(self) -> Instant:
        """The roll-out's time. Never goes back."""
        ...

    async def machine_sleep(self, seconds: float) -> None:
        """Wait by the machine's clock."""
        ...


class RealClock:
    """The roll-out's time is the machine's time."""

    def now(self) -> Instant:
        """The machine's time."""
        return machine_now()

    async def machine_sleep(self, seconds: float) -> None:
        """Wait by the machine's clock."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Pace:
    """The one row every service reads: from `anchor_machine` on, `rate` seconds pass a second, up to `hold_at`."""

    anchor_machine: Instant
    anchor_story: Instant
    rate: float
    hold_at: Instant

    def at(self, machine: Instant) -> Instant:
        """The paced time at a machine time."""
        passed = max(machine - self.anchor_machine, timedelta(0))
        return min(self.anchor_story + passed * self.rate, max(self.hold_at, self.anchor_story))


PACE_CHANGED = "chfw_pace"
PACE_REFRESH = 1.0
PACE_RETRY = 0.05
READ_PACE = "select anchor_machine, anchor_story, rate, hold_at from chfw_clock.pace"
WRITE_PACE = """
insert into chfw_clock.pace (one, anchor_machine, anchor_story, rate, hold_at) values (true, $1, $2, $3, $4)
on conflict (one) do update set anchor_machine = excluded.anchor_machine, anchor_story = excluded.anchor_story,
    rate = excluded.rate, hold_at = excluded.hold_at
"""
FIRST_PACE = """
insert into chfw_clock.pace (one, anchor_machine, anchor_story, rate, hold_at) values (true, $1, $2, $3, $4)
on conflict (one) do nothing
"""
STANDING = 1.0
"""The rate of a clock that is set to stand still: what holds it is its limit."""


class NoPaceError(LookupError):
    """Nobody has set the paced clock."""


async def read_pace(connection: Any) -> Pace:
    """The pace in force. Raises NoPaceError when nobody has set one."""
    row = await connection.fetchrow(READ_PACE)
    if row is None:
        raise NoPaceError("the paced clock has not been set: the row chfw_clock.pace is missing")
    return Pace(**dict(row))


async def set_first_pace(connection: Any, begins: Instant) -> None:
    """When nobody has set a pace, let the clock stand still at an instant."""
    await connection.execute(FIRST_PACE, machine_now(), begins, STANDING, begins)


async def write_pace(connection: Any, pace: Pace) -> None:
    """Set the pace for every service, and tell them."""
    await connection.execute(WRITE_PACE, pace.anchor_machine, pace.anchor_story, pace.rate, pace.hold_at)
    await connection.execute(f"notify {PACE_CHANGED}")


class PacedClock:
    """Follows the row `chfw_clock.pace`, read again when it is said to have changed, and every second.

    Monotone; while the row is away it runs up to the last hold known and stands still there.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._last = pace.at(machine_now())

    def now(self) -> Instant:
        """The paced time."""
        self._last = max(self._last, self._pace.at(machine_now()))
        return self._last

    async def machine_sleep(self, seconds: float) -> None:
        """Wait by the machine's clock."""
        await asyncio.sleep(seconds)

    async def follow(self, pool: Any) -> None:
        """Read the row until cancelled. While it cannot be read the last pace, and so its hold, stays in force."""
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, NoPaceError):
                async with pool.acquire() as connection:
                    await self._listen(connection)
            await asyncio.sleep(PACE_RETRY)

    async def _listen(self, connection: Any) -> None:
        """Read the row whenever it changes. Ends by raising: when the connection is lost, or when cancelled."""
        changed = asyncio.Event()

        def note(*_: object) -> None:
            changed.set()

        await connection.add_listener(PACE_CHANGED, note)
        try:
            while True:
                changed.clear()
                self._pace = await read_pace(connection)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PACE_REFRESH):
                        await changed.wait()
        finally:
            if not connection.is_closed():
                await connection.remove_listener(PACE_CHANGED, note)
