"""The services of a history as they are: their own stages on one real Postgres.

One history is one transaction, rolled back at its end; what a service does in a transaction of its own is a savepoint.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import chfw_device_sim.service
from chfw_cli.simulated import COMPOSITIONS
from chfw_common.kernel.ids import PartyId, UserId, hub_eui64
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import AnswerKind, Group
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.http.commands import write_effects
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import write_outbox
from chfw_common.runtime.service import Answered, Batch, Now, Service, Tx
from chfw_common.runtime.ticks import TickRunner
from chfw_common.topology import BY_NAME, RELEASE_NOTIFIED, ROLLOUT_DECISION, partition_of_hub, schema_of
from chfw_device_sim.stages import load as devices
from chfw_device_sim.store.device import NewDevice
from chfw_governance.domain.decide import Notice, Proposal
from chfw_governance.stages import decide
from chfw_instruction.domain.entries import read_entries
from chfw_instruction.domain.quota import Quota
from chfw_instruction.stages import accept
from chfw_smi.domain.inventory import Loaded, SupplierChange
from chfw_smi.stages import change_supplier
from chfw_smi.stages import load as inventory
from tests.histories.cast import BEGIN, BOXES, EDGES, HOUR, OLD, RELEASE, Asked, user_of
from tests.histories.tables import Tables
from tests.histories.world import NAMES, RATES, UnderWay, World
from tests.support.settings import nowhere

PLENTY = Quota(1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000)
"""Histories are of consent; no quota is met in them."""


class Savepoints(Database):
    """A service's database inside the history's transaction."""

    def __init__(self, tx: Tx, service: str) -> None:
        super().__init__(None, service)
        self._tx = tx
        self._path = f"set local search_path to {schema_of(service)}"

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """A savepoint."""
        await self._tx.execute(self._path)
        async with self._tx.transaction():
            yield self._tx

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[Tx]:
        """The same connection."""
        await self._tx.execute(self._path)
        yield self._tx


class _OutOfLineError(Exception):
    """The transaction is undone: what stands still while a record is parked has tests of its own."""


class StagesWorld(World):
    """The services of one history in one transaction."""

    def __init__(self, tx: Tx, seed: int) -> None:
        super().__init__()
        given = nowhere()
        own: dict[str, dict[str, Any]] = {
            "scheduler": {"edges": EDGES},
            "device-sim": {"edges": EDGES, "fleet_seed": seed, "delivery_grid": HOUR, **RATES},
        }
        # The edges compare the time of messages with the history's: with the machine's, they would refuse most of them.
        builds = {"device-sim": partial(chfw_device_sim.service.build, machine_now=self.clock)}
        self.services: dict[str, Service] = {}
        for name in NAMES:
            kind, build = COMPOSITIONS[name]
            self.services[name] = builds.get(name, build)(kind(**given, **own.get(name, {})))
        self._databases = {name: Savepoints(tx, name) for name in NAMES}
        self._runners = {
            name: TickRunner(service, self._databases[name], Metrics(name, service.consumes))
            for name, service in self.services.items()
        }
        self._keys = 0
        self.views = Tables(self.fetch)

    async def manufacture(self) -> None:
        """The hubs leave the factory."""
        new = [NewDevice(box.hub, partition_of_hub(box.hub), box.region, "Acme", "CH9", "H1", OLD) for box in BOXES]
        await self._command("device-sim", devices.command, new)

    async def take_load(self, records: list[Loaded]) -> None:
        """The inventory is loaded."""
        await self._command("smi", inventory.command, records)

    async def take_change(self, change: SupplierChange) -> None:
        """The inventory is told of a change of Supplier."""
        await self._command("smi", change_supplier.command, [change])

    async def submit(self, asked: Asked, key: str, *, digest: bytes = b"d") -> accept.Receipt | str:
        """A request; its receipt, or the code of its refusal."""
        submission = accept.Submission(
            caller=Caller(asked.party, user_of(asked.party, asked.role), asked.role),
            key=key,
            digest=digest,
            release_id=RELEASE,
            kind=AnswerKind(asked.kind),
            group=Group(asked.group),
            activate_at=asked.activate_at,
            chunks=read_entries([hub_eui64(hub) for hub in asked.hubs]),
            header=None,
            limit=50_000,
            quota=PLENTY,
            came_at=BEGIN,
        )
        try:
            receipt: accept.Receipt = await self._command("instruction", accept.command, submission)
        except Problem as problem:
            return str(problem.code)
        return receipt

    async def propose(self, proposal: Proposal) -> str | None:
        """A decision of the DCC; the code of its refusal."""
        self._keys += 1
        request = decide.DecisionRequest(
            caller=Caller(PartyId("DCC"), UserId("dcc"), Role.DCC),
            key=f"decision-{self._keys}",
            digest=b"d",
            release_id=RELEASE,
            proposal=proposal,
            notice=Notice(),
        )
        try:
            await self._command("governance", decide.command, request)
        except Problem as problem:
            return str(problem.code)
        return None

    async def hand(self, event: UnderWay) -> bool:
        """A service takes an event; False: it asks to be tried again, or the event is out of line. A person hands that
        one in again once what was missing has come."""
        handler = self.services[event.service].consumes[event.topic].handler
        batch: Batch[Any] = Batch(event.topic.name, event.partition, (event.message,))
        try:
            async with self._databases[event.service].transaction() as tx:
                outcome = await handler(tx, batch, self.clock)
                if outcome.parked:
                    assert event.topic in {RELEASE_NOTIFIED, ROLLOUT_DECISION}, outcome.parked
                    raise _OutOfLineError
                self._keys += 1
                await write_outbox(tx, outcome.outgoing, f"{event.service}|{self._keys}", self.now)
        except (TransientError, _OutOfLineError):
            return False
        await self._drain(event.service)
        return True

    async def tick(self, name: str) -> int:
        """Call each tick of a service as often as it asks for; says how often one ran."""
        ran = 0
        for tick in self.services[name].ticks:
            ticked = await self._runners[name].call(tick, self.clock)
            while ticked.ran:
                ran += 1
                assert ran < 500, f"{name}: {tick.name} runs hot"
                await self._drain(name)
                if not ticked.more:
                    break
                ticked = await self._runners[name].call(tick, self.clock, expected=True)
        return ran

    async def next_due(self, name: str) -> Instant | None:
        """When a service next has something to do by itself."""
        return await self._runners[name].next_due(self.now)

    async def fetch(self, service: str, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Rows of one service's schema."""
        async with self._databases[service].looking() as tx:
            return [tuple(row) for row in await tx.fetch(query, *arguments)]

    async def _command(
        self, service: str, command: Callable[[Tx, Any, Now], Awaitable[Answered[Any]]], body: Any
    ) -> Any:
        async with self._databases[service].transaction() as tx:
            answered = await command(tx, body, self.clock)
            await write_effects(tx, answered, self.now)
        await self._drain(service)
        return answered.answer

    async def _drain(self, service: str) -> None:
        """Everything in the outbox is under way."""
        rows: Sequence[Any]
        async with self._databases[service].looking() as tx:
            rows = await tx.fetch("delete from outbox returning id, topic, partition, event_id, payload")
        for row in sorted(rows, key=lambda row: int(row["id"])):
            topic = BY_NAME[row["topic"]]
            self.say(service, topic, row["partition"], topic.event.model_validate_json(row["payload"]))
        if rows and self.after_each is not None:
            await self.after_each()
