"""Ticks: things done now and then, one process at a time, a bounded number of hubs a call."""

from dataclasses import dataclass

import structlog

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.advisory import lock_key
from chfw_common.runtime.backoff import Backoff
from chfw_common.runtime.clock import Clock, stopwatch
from chfw_common.runtime.consume import PARK_AFTER
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.kept import keep_error
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import NO_LANES, Wake, write_outbox
from chfw_common.runtime.pieces import QUERIES, run_in_pieces
from chfw_common.runtime.repeats import Repeated
from chfw_common.runtime.service import Now, Service, Tick, TickResult, Tx
from chfw_common.runtime.transient import is_transient, transient_as_error

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ticked:
    """What a call led to. `ran` is false when nothing is due or another process holds the tick."""

    ran: bool
    more: bool
    lanes: frozenset[int]


_NOT_RUN = Ticked(ran=False, more=False, lanes=NO_LANES)


class TickRunner:
    """Calls the ticks of one service."""

    def __init__(self, service: Service, database: Database, metrics: Metrics) -> None:
        self._service = service
        self._database = database
        self.metrics = metrics
        self._failing: set[str] = set()
        self._in_pieces: set[str] = set()

    async def call(self, tick: Tick, now: Now, *, expected: bool = False) -> Ticked:
        """Call the tick once when it is due. Raises TransientError when Postgres is away, and whatever the tick raised
        unexpectedly, after counting it. From the third failure on its work is done piece by piece, and the piece that
        fails is set aside.

        `expected`: the last call said that there is more, so nobody looks first: `run` finds out if there still is.
        """
        begun = stopwatch()
        try:
            if not expected and not await self._is_due(tick, now):
                return _NOT_RUN
            done = await self._act(tick, now)
        except Exception as error:
            if is_transient(error):
                raise
            if await self._count_failure(tick, error) < PARK_AFTER or tick.pieces is None:
                raise
            self._in_pieces.add(tick.name)
            done = await self._act(tick, now)
        self.metrics.ticked(tick.name, stopwatch() - begun)
        return done

    async def _is_due(self, tick: Tick, now: Now) -> bool:
        async with transient_as_error(), self._database.looking() as connection:
            looked = now()
            due = await tick.next_due(connection, looked)
        return due is not None and due <= looked

    async def _act(self, tick: Tick, now: Now) -> Ticked:
        """One call in one transaction: as a whole, or in pieces while the one that fails is looked for."""
        async with transient_as_error(), self._database.transaction() as tx:
            # Another process may have done meanwhile what was due: `run` finds out, as after a call that expects more.
            key = lock_key(self._service.name, "tick", tick.name)
            if not await tx.fetchval("select pg_try_advisory_xact_lock($1)", key):
                return _NOT_RUN
            result, found = await self._result(tx, tick, now)
            lanes = NO_LANES
            if result.outgoing:
                calls = await tx.fetchval(QUERIES["count_call"], tick.name)
                lanes = await write_outbox(tx, result.outgoing, f"{self._service.name}|tick|{tick.name}|{calls}", now())
            if found and tick.name in self._failing:
                await tx.execute(QUERIES["forget_failures"], tick.name)
        if found:
            self._failing.discard(tick.name)
            self._in_pieces.discard(tick.name)
        return Ticked(ran=True, more=result.more, lanes=lanes)

    async def _result(self, tx: Tx, tick: Tick, now: Now) -> tuple[TickResult, bool]:
        """What the call led to, and whether nothing is left to be looked for."""
        if tick.pieces is None or tick.name not in self._in_pieces:
            return await tick.run(tx, now), True
        result, aside = await run_in_pieces(tx, tick.name, tick.pieces, now)
        return result, aside > 0 or not result.more

    async def _count_failure(self, tick: Tick, error: Exception) -> int:
        """Count outside the transaction that failed."""
        self._failing.add(tick.name)
        reason = keep_error(f"{type(error).__name__}: {error}")
        async with transient_as_error(), self._database.transaction() as tx:
            failures = int(await tx.fetchval(QUERIES["count_failure"], tick.name, reason))
        log.error("a tick failed unexpectedly", action="tick_failed", tick=tick.name, failures=failures, exc_info=error)
        return failures

    async def next_due(self, now: Instant) -> Instant | None:
        """The earliest instant at which any tick has something to do."""
        async with transient_as_error(), self._database.looking() as tx:
            dues = [await tick.next_due(tx, now) for tick in self._service.ticks]
        return min((due for due in dues if due is not None), default=None)


async def run_tick(runner: TickRunner, tick: Tick, clock: Clock, wake: Wake) -> None:
    """Call a tick for ever: again at once while it asks for more, else every `tick.every` of machine time.

    A server that is away is waited out. After an unexpected failure the tick is called again after a while, with an
    alarm until it succeeds; other ticks, and the process, do not notice.
    """
    pause, backoff = tick.every.total_seconds(), Backoff(clock)
    more, written, waits = False, NO_LANES, Repeated()
    while True:
        try:
            done = await runner.call(tick, clock.now, expected=more)
            waits.over(tick=tick.name)
        except TransientError as error:
            more = False
            waits.failed("a tick waits for its server", action="tick_waits", tick=tick.name, error=error)
            await clock.machine_sleep(1.0)
            continue
        except Exception:  # noqa: BLE001 - counted and logged by the runner
            more = False
            runner.metrics.tick_fails(tick.name, on=True)
            await backoff.wait()
            continue
        runner.metrics.tick_fails(tick.name, on=False)
        backoff.reset()
        written |= done.lanes
        more = done.more
        if not (more and tick.relays_last):
            wake.lanes(written)
            written = NO_LANES
        if not more:
            await clock.machine_sleep(pause)
