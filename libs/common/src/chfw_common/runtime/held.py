"""Held partitions: those that could not be written while others could. Their events are tried apart from the lane.

An event that is refused when it is sent alone is parked with the reason: in Postgres, until a person sends it again or
drops it. Later events go on, those of its key too: a stop must not wait for a mistake.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import timedelta
from operator import itemgetter
from typing import Any

import structlog

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.backoff import Backoff
from chfw_common.runtime.clock import Clock, machine_now
from chfw_common.runtime.columns import columns
from chfw_common.runtime.consume import PARK_AFTER
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.kept import keep_error
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import QUERIES
from chfw_common.runtime.relay import COLUMNS, RELAY_ROWS
from chfw_common.runtime.repeats import Repeated
from chfw_common.runtime.sending import Producer, Sender, is_refusal, is_too_large
from chfw_common.runtime.service import Tx
from chfw_common.runtime.transient import transient_as_error

log = structlog.get_logger()

IN_TURN = 50
"""The most events that are sent one after the other in one transaction."""
LOOK_EVERY = 1.0
"""Seconds between two looks for a partition whose next try is due."""
FIRST_WAIT, LONGEST_WAIT = timedelta(milliseconds=500), timedelta(seconds=30)

Row = Mapping[str, Any]


class HeldPartitions:
    """Sends what waits in the held partitions of one lane. It needs a producer of its own."""

    def __init__(self, service: str, lane: int, database: Database, producer: Producer, metrics: Metrics) -> None:
        self._lane = lane
        self._database = database
        self._sender = Sender(service, lane, producer)
        self._metrics = metrics

    async def try_once(self, now: Instant | None = None) -> bool:
        """Try the partition that is due longest, and let the lane have it again once nothing of it waits.

        False when none is due. Raises TransientError when Postgres is away.
        """
        now = now or machine_now()
        hold: Row | None = None
        try:
            async with transient_as_error(), self._database.transaction() as tx:
                hold = await tx.fetchrow(QUERIES["due_hold"], self._lane, now, self._sender.may_be_idle(2))
                if hold is None:
                    return False
                left = await self._send(tx, hold, now)
        except Exception as error:
            if hold is None:
                raise
            await self._note(hold, error, now)
        else:
            self._metrics.relayed(self._lane, left)
        return True

    async def _send(self, tx: Tx, hold: Row, now: Instant) -> int:
        """Send the oldest events of the partition; says how many left."""
        limit = IN_TURN if hold["refused"] else RELAY_ROWS
        taken = await tx.fetch(QUERIES["take_partition"], self._lane, hold["topic"], hold["partition"], limit)
        rows = sorted(taken, key=itemgetter("id"))
        if hold["refused"]:
            waiting, parked = await self._in_turn(tx, rows, hold, now)
        else:
            waiting, parked = [], 0
            failed = await self._sender.together(rows, now)
            for error in failed.values():
                raise error
        if len(rows) < limit and not waiting:
            await tx.execute(QUERIES["release"], hold["id"])
            log.info("a partition is written again", action="released", topic=hold["topic"],
                     partition=hold["partition"])  # fmt: skip
        else:
            await tx.execute(QUERIES["moved_on"], hold["id"], now)
        return len(rows) - len(waiting) - parked

    async def _in_turn(self, tx: Tx, rows: list[Row], hold: Row, now: Instant) -> tuple[list[Row], int]:
        """Send one after the other and park those that are refused: what waits still, and how many were parked.

        Raises what came when not even the first event left.
        """
        parked = 0
        for at, row in enumerate(rows):
            try:
                await self._sender.alone(row, now)
            except Exception as error:
                last_try = at == 0 and hold["tries"] + 1 >= PARK_AFTER
                if is_too_large(error) or (is_refusal(error) and last_try):
                    await self._park(tx, row, error, now)
                    parked += 1
                    continue
                if at == 0:
                    raise
                waiting = rows[at:]
                await tx.execute(QUERIES["put_back"], *columns([row[name] for name in COLUMNS] for row in waiting))
                return waiting, parked
        return [], parked

    async def _park(self, tx: Tx, row: Row, error: Exception, now: Instant) -> None:
        reason = keep_error(f"{type(error).__name__}: {error}")
        await tx.execute(QUERIES["park_event"], *(row[name] for name in COLUMNS[1:]), reason, now)
        log.error(
            "an event cannot be sent and was parked", action="alarm", kind="parked_event", lane=self._lane,
            topic=row["topic"], partition=row["partition"], event_id=str(row["event_id"]), error=reason,
        )  # fmt: skip

    async def _note(self, hold: Row, error: Exception, now: Instant) -> None:
        """Count a try that failed; nothing of it happened."""
        wait = min(FIRST_WAIT * 2 ** min(hold["tries"], 10), LONGEST_WAIT)
        reason = keep_error(f"{type(error).__name__}: {error}")
        async with transient_as_error(), self._database.transaction() as tx:
            await tx.execute(QUERIES["tried"], hold["id"], reason, is_refusal(error), now + wait)
        log.warning("a held partition waits", action="held_waits", topic=hold["topic"], partition=hold["partition"],
                    tries=hold["tries"] + 1, error=reason)  # fmt: skip


async def run_held(held: HeldPartitions, wake: asyncio.Event, clock: Clock) -> None:
    """Try held partitions until cancelled: at once when woken, otherwise every second.

    A server that is away is waited out; anything else ends the process.
    """
    backoff, waits = Backoff(clock), Repeated()
    while True:
        wake.clear()
        try:
            tried = await held.try_once()
            backoff.reset()
            waits.over()
        except TransientError as error:
            waits.failed("held partitions cannot be read now", action="held_waits", error=error)
            await backoff.wait()
            continue
        if not tried:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await wake.wait()
