"""kill -9 in the middle of everything: each service, the broker and the database, with claims in flight."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import asyncpg

from chfw_cli.demo.backlog import AWAY
from chfw_cli.demo.story import DAY, RUNS
from chfw_cli.local.stack import Stack
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.clock import machine_now, read_pace

TARGETS: tuple[tuple[str, timedelta], ...] = (
    ("scheduler", RUNS + timedelta(hours=2)),
    ("device-sim", RUNS + timedelta(hours=8)),
    ("postgres", RUNS + 1 * DAY),
    ("kafka", 19 * DAY + timedelta(hours=1)),
    ("smi", 20 * DAY + timedelta(hours=1)),
    ("notifier", 24 * DAY + timedelta(hours=1)),
    ("instruction", 47 * DAY + timedelta(hours=2)),
    ("governance", 48 * DAY),
    ("scheduler", 74 * DAY + timedelta(hours=1)),
)
"""What is killed, and from which time of the story on: while images travel, while hubs are armed, while they report."""

IN_FLIGHT = "select count(*) from scheduler.ledger where state in ('distributing', 'arming', 'armed')"
LOOK_EVERY = 0.02
BACK_LIMIT = 90.0


@dataclass
class Chaos:
    """Kills, and notes what was under way."""

    stack: Stack
    dsn: str
    begins: Instant
    kills: list[str] = field(default_factory=list)
    empty: int = 0

    async def run(self) -> None:
        """Kill every target once its time has come and claims are in flight; each is waited for before the next."""
        for name, at in TARGETS:
            now, in_flight = await self._moment(self.begins + at)
            begun = time.monotonic()
            self.stack.kill(name)
            await asyncio.sleep(0)
            await self.stack.wait_ready(name, BACK_LIMIT)
            back = time.monotonic() - begun
            day = (now - self.begins) / DAY
            self.kills.append(f"{name} on day {day:.1f} with {in_flight:,} claims in flight, back in {back:.1f} s")
            self.empty += in_flight == 0

    async def _moment(self, at: Instant) -> tuple[Instant, int]:
        """Wait for the time, and for claims in flight; the next half day is the limit for those."""
        while True:
            with contextlib.suppress(LookupError, *AWAY):
                connection: Any = await asyncpg.connect(self.dsn, timeout=5)
                try:
                    while True:
                        now = (await read_pace(connection)).at(machine_now())
                        in_flight = await connection.fetchval(IN_FLIGHT) if now >= at else 0
                        if in_flight or now >= at + DAY / 2:
                            return now, in_flight
                        await asyncio.sleep(LOOK_EVERY)
                finally:
                    connection.terminate()
            await asyncio.sleep(LOOK_EVERY)
