"""Ticks: things done now and then, one process at a time, a bounded number of hubs a call."""

from dataclasses import dataclass

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.advisory import lock_key
from chfw_common.runtime.clock import Clock, stopwatch
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import NO_LANES, Wake, write_outbox
from chfw_common.runtime.repeats import Repeated
from chfw_common.runtime.service import Now, Service, Tick, Tx
from chfw_common.runtime.transient import transient_as_error


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
        self._metrics = metrics

    async def call(self, tick: Tick, now: Now, *, expected: bool = False) -> Ticked:
        """Call the tick once when it is due. Raises TransientError when Postgres is away.

        `expected`: the last call said that there is more, so nobody looks first: `run` finds out if there still is.
        """
        begun = stopwatch()
        if not expected:
            async with transient_as_error(), self._database.looking() as connection:
                looked = now()
                due = await tick.next_due(connection, looked)
            if due is None or due > looked:
                return _NOT_RUN
        async with transient_as_error(), self._database.transaction() as tx:
            # Another process may have done meanwhile what was due: `run` finds out, as after a call that expects more.
            key = lock_key(self._service.name, "tick", tick.name)
            if not await tx.fetchval("select pg_try_advisory_xact_lock($1)", key):
                return _NOT_RUN
            result = await tick.run(tx, now)
            lanes = NO_LANES
            if result.outgoing:
                cause = f"{self._service.name}|tick|{tick.name}|{await _count_call(tx, tick.name)}"
                lanes = await write_outbox(tx, result.outgoing, cause, now())
        self._metrics.ticked(tick.name, stopwatch() - begun)
        return Ticked(ran=True, more=result.more, lanes=lanes)

    async def next_due(self, now: Instant) -> Instant | None:
        """The earliest instant at which any tick has something to do."""
        async with transient_as_error(), self._database.looking() as tx:
            dues = [await tick.next_due(tx, now) for tick in self._service.ticks]
        return min((due for due in dues if due is not None), default=None)


async def _count_call(tx: Tx, name: str) -> int:
    return int(
        await tx.fetchval(
            """insert into tick_call (tick, calls) values ($1, 1)
               on conflict (tick) do update set calls = tick_call.calls + 1 returning calls""",
            name,
        )
    )


async def run_tick(runner: TickRunner, tick: Tick, clock: Clock, wake: Wake) -> None:
    """Call a tick for ever: again at once while it asks for more, else every `tick.every` of machine time.

    A server that is away is waited out; anything else ends the process.
    """
    pause = tick.every.total_seconds()
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
        written |= done.lanes
        more = done.more
        if not (more and tick.relays_last):
            wake.lanes(written)
            written = NO_LANES
        if not more:
            await clock.machine_sleep(pause)
