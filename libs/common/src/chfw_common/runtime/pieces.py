"""A tick piece by piece: what fails again and again is found, set aside and kept for a person; the rest goes on."""

from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.clock import Clock
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.kept import keep_error
from chfw_common.runtime.outbox import payload_of
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.repeats import Repeated
from chfw_common.runtime.service import Now, Outgoing, Pieces, Taken, Tick, TickResult, Tx
from chfw_common.runtime.transient import is_transient, transient_as_error

log = structlog.get_logger()

QUERIES = load_queries("chfw_common.runtime", "sql/ticks.sql")
FAR: Instant = datetime(9999, 12, 31, tzinfo=UTC)
"""When work that is set aside is due: not in the time of anybody who lives."""
AT_ONCE = 50
"""The most pieces that one transaction takes one by one."""
LOOK_EVERY = 5.0
"""Seconds between two looks for work that a person wants tried again."""


async def run_in_pieces(tx: Tx, tick: str, pieces: Pieces, now: Now) -> tuple[TickResult, int]:
    """Take pieces one by one, each under a savepoint; says what came of them, and how many were set aside.

    Raises what came when no piece could be taken at all, or when every one of 50 failed: then the tick is at fault, not
    the work. Raises any transient failure.
    """
    outgoing: list[Outgoing] = []
    aside = 0
    last: Exception | None = None
    for _ in range(AT_ONCE):
        taken: Taken | None = None
        try:
            async with tx.transaction():
                taken = await pieces.take(tx, now, 1)
                if taken is None or not taken.work:
                    return TickResult(outgoing), aside
                events = await taken.act()
                for event in events:
                    # Else it would be refused only when nobody knows any more whose it is.
                    payload_of(event)
                outgoing += events
        except Exception as error:
            if is_transient(error) or taken is None:
                raise
            await _set_aside(tx, tick, pieces, taken, error, now)
            aside += 1
            last = error
    if last is not None and aside == AT_ONCE:
        raise last
    return TickResult(outgoing, more=True), aside


async def _set_aside(tx: Tx, tick: str, pieces: Pieces, taken: Taken, error: Exception, now: Now) -> None:
    reason = keep_error(f"{type(error).__name__}: {error}")
    for work in taken.work:
        await pieces.put_off(tx, work, FAR)
        await tx.execute(QUERIES["set_aside"], tick, work, reason, now())
        log.error(
            "work that fails again and again was set aside", action="alarm", kind="set_aside", tick=tick, work=work,
            error=reason, exc_info=error,
        )  # fmt: skip


async def try_again(database: Database, ticks: Sequence[Tick], now: Now) -> int:
    """Make due what was set aside and a person wants tried again; says how many pieces."""
    known = {tick.name: tick.pieces for tick in ticks if tick.pieces is not None}
    async with transient_as_error(), database.transaction() as tx:
        rows = await tx.fetch(QUERIES["wanted_again"], list(known))
        for row in rows:
            await known[row["tick"]].put_off(tx, row["work"], now())
    return len(rows)


async def follow_wishes(database: Database, ticks: Sequence[Tick], clock: Clock) -> None:
    """Look for such work until cancelled. A server that is away is waited out.

    Work that cannot be put on again stays as it is, and ends nothing.
    """
    waits = Repeated()
    while True:
        try:
            await try_again(database, ticks, clock.now)
            waits.over()
        except TransientError as error:
            waits.failed("work that was set aside cannot be read now", action="set_aside_waits", error=error)
        except Exception as error:  # noqa: BLE001 - a wish of a person, whatever is wrong with it, must not end the process
            waits.failed("work that was set aside cannot be tried again", action="set_aside_fails", error=repr(error))
        await clock.machine_sleep(LOOK_EVERY)
