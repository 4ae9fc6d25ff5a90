"""All services in one process on one clock: pump until nothing moves, then jump to what is next due."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI

from chfw_common.kernel.instants import Instant, ceil_to_grid
from chfw_common.runtime.consume import ConsumeCore
from chfw_common.runtime.database import Database
from chfw_common.runtime.http.app import Door, create_app
from chfw_common.runtime.http.callers import TokenVerifier
from chfw_common.runtime.http.commands import Commands
from chfw_common.runtime.http.keys import KeyFile
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.relay import RELAY_ROWS, Relay
from chfw_common.runtime.service import Service
from chfw_common.runtime.settings import LOCAL_ISSUER
from chfw_common.runtime.source import SourceContext
from chfw_common.runtime.ticks import TickRunner
from chfw_common.simulation.broker import LocalBroker, LocalProducer
from chfw_common.simulation.clock import VirtualClock
from chfw_common.simulation.source import LocalSource
from chfw_common.topology import LANES

GRID = timedelta(hours=6)
"""Due instants round up to this grid, so that work gathers into full chunks."""


class SimulatedService:
    """One service on the local broker and the virtual clock, with its real database."""

    def __init__(
        self, service: Service, database: Database, broker: LocalBroker, clock: VirtualClock, jwks_file: Path
    ) -> None:
        self.service = service
        self.database = database
        self._clock = clock
        metrics = Metrics(service.name, service.consumes)
        self._wake = Wake()
        self._look = True
        context = SourceContext(ConsumeCore(service, database, metrics), database, metrics, clock, self._wake)
        self._source = LocalSource(
            context, list(service.consumes), broker=broker, group=f"chfw-{service.name}", max_records=200
        )
        producer = LocalProducer(broker)
        self._relays = {lane: Relay(service.name, lane, database, producer, metrics, holds=False) for lane in LANES}
        self._ticks = TickRunner(service, database, metrics)
        verifier = TokenVerifier(KeyFile(jwks_file), issuer=LOCAL_ISSUER, audience="chfw")
        run, door = Commands(database, clock, self._wake), Door.OPERATORS if service.operator_routes else Door.PUBLIC
        # A quota counts by the machine's time, which a simulation does not know.
        self.app: FastAPI = create_app(service, run, verifier, metrics, _always_ready, door=door, admission=None)

    def look_again(self) -> None:
        """Time has moved, or somebody has called a route: let the ticks look even if no record came."""
        self._look = True

    async def consume(self, ends: Mapping[tuple[str, int], int]) -> int:
        """Take in what the broker has up to `ends`, and relay what follows; says how much moved."""
        moved = await self._source.pump(ends)
        self._look = self._look or moved > 0
        return moved + await self._relay()

    async def tick(self) -> int:
        """Call every tick until none has more to do, and relay what follows; says how much moved."""
        if not self._look:
            return 0
        self._look = False
        ran = 0
        for tick in self.service.ticks:
            ticked = await self._ticks.call(tick, self._clock.now)
            while ticked.ran:
                ran += 1
                self._wake.lanes(ticked.lanes)
                if not ticked.more:
                    break
                ticked = await self._ticks.call(tick, self._clock.now, expected=True)
        return ran + await self._relay()

    async def _relay(self) -> int:
        """Relay what was published, if anything was."""
        moved = 0
        for lane, relay in self._relays.items():
            written = self._wake.of(lane)
            if written.is_set():
                written.clear()
                relayed = RELAY_ROWS
                while relayed == RELAY_ROWS:
                    relayed = await relay.relay_once()
                    moved += relayed
        return moved

    async def next_due(self) -> Instant | None:
        """When this service next has something to do."""
        return await self._ticks.next_due(self._clock.now())


async def _always_ready() -> str | None:
    return None


class Simulation:
    """Six months in minutes, the same every time for the same seed.

    Services come in groups, in the order in which they read. While they consume, no service may look up what another of
    its group writes.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[SimulatedService]],
        broker: LocalBroker,
        clock: VirtualClock,
        grid: timedelta = GRID,
    ) -> None:
        self.services = {simulated.service.name: simulated for group in groups for simulated in group}
        self.clock = clock
        self._groups = groups
        self._broker = broker
        self._grid = grid

    async def settle(self) -> None:
        """Move services until nothing moves at this instant.

        Records first, and ticks only when no record is left; a group of services reads only when none before it has
        anything to read, so those that merely listen come last: transactions are full, as in a busy live system.
        """
        for simulated in self.services.values():
            simulated.look_again()
        while await self._consume_first() or await self._tick_all():
            pass

    async def _consume_first(self) -> bool:
        """Let the first group that has something to read do so, its services side by side.

        Each reads what was there before the round, writes a schema of its own, and is the only one to write its topics:
        which of them is quicker makes no difference.
        """
        for group in self._groups:
            ends = self._broker.ends()
            if any(await asyncio.gather(*(simulated.consume(ends) for simulated in group))):
                return True
        return False

    async def _tick_all(self) -> bool:
        return any([await simulated.tick() for simulated in self.services.values()])

    async def next_due(self) -> Instant | None:
        """The next instant of the grid at which any service has something to do."""
        dues = [await simulated.next_due() for simulated in self.services.values()]
        due = min((due for due in dues if due is not None), default=None)
        return None if due is None else max(ceil_to_grid(due, self._grid), self.clock.now())

    async def run_until(self, instant: Instant) -> None:
        """Settle, jump, settle, up to and including an instant."""
        await self.settle()
        while True:
            due = await self.next_due()
            if due is None or due > instant:
                break
            self.clock.move_to(due)
            await self.settle()
        self.clock.move_to(max(instant, self.clock.now()))
        await self.settle()
