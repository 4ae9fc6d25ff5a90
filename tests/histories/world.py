"""Five services on one real Postgres, and every event under way between them in a bag: it may come late, twice, or in
another order.

One history is one transaction, rolled back at its end; what a service does in a transaction of its own is a savepoint.
Nothing here decides anything: handlers, ticks and commands are the services' own.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from chfw_cli.simulated import COMPOSITIONS
from chfw_common.events.base import Event
from chfw_common.kernel.hubs import DeviceStatus, DeviceType
from chfw_common.kernel.ids import HubId, PartyId, UserId, hub_eui64
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import AnswerKind, Group, Mode
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import write_outbox
from chfw_common.runtime.service import Answered, Batch, Now, Received, Service, Tx
from chfw_common.runtime.ticks import TickRunner
from chfw_common.topology import BY_NAME, RELEASE_NOTIFIED, Topic, partition_of_hub, partition_of_release, schema_of
from chfw_device_sim.stages import load as devices
from chfw_device_sim.store.device import NewDevice
from chfw_governance.domain.decide import Notice, Proposal, Refusal
from chfw_governance.stages import decide
from chfw_instruction.domain.entries import read_entries
from chfw_instruction.stages import accept
from chfw_smi.domain.inventory import Claimed, Loaded, SupplierChange
from chfw_smi.stages import change_supplier
from chfw_smi.stages import load as inventory
from tests.histories.cast import BEGIN, BOXES, EDGES, HOUR, OLD, RELEASE, Asked, Box, notice, user_of

NAMES = ("instruction", "scheduler", "device-sim", "smi", "governance")
RATES = {
    "rate_never_answers": 0.0,
    "rate_no_image_held": 0.1,
    "rate_hash_mismatch": 0.05,
    "rate_activation_failure": 0.1,
    "rate_file_transfer_failure": 0.1,
    "rate_lost_alert": 0.1,
    "rate_out_of_reach": dict.fromkeys(EDGES, 0.1),
    "delivery_times": {edge: {"min": HOUR, "max": 5 * HOUR} for edge in EDGES},
    "region_capacity": {edge: {"per_hour": 1_000, "in_flight": 1_000} for edge in EDGES},
}


class Savepoints(Database):
    """A service's database inside the history's transaction."""

    def __init__(self, tx: Tx, service: str) -> None:
        super().__init__(None)
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


@dataclass(frozen=True, slots=True)
class UnderWay:
    """An event on its way to one service."""

    service: str
    topic: Topic
    partition: int
    message: Received[Event]


@dataclass(frozen=True, slots=True)
class Said:
    """An event as it was published, and the step in which it was."""

    step: int
    service: str
    event: Event


@dataclass
class World:
    """The services, and what is under way. `published` is everything that was ever said, in order."""

    tx: Tx
    seed: int
    now: Instant = BEGIN
    step: int = 0
    boxes: dict[HubId, Box] = field(default_factory=dict)
    after_each: Callable[[], Awaitable[None]] | None = None
    """Looks at what was said before anything else happens."""
    under_way: list[UnderWay] = field(default_factory=list)
    delivered: list[UnderWay] = field(default_factory=list)
    published: list[Said] = field(default_factory=list)
    services: dict[str, Service] = field(init=False)
    _databases: dict[str, Savepoints] = field(init=False)
    _runners: dict[str, TickRunner] = field(init=False)
    _keys: int = 0

    def __post_init__(self) -> None:
        given = {"database_dsn": "-", "kafka_bootstrap": "-", "jwks_file": Path("-")}
        own: dict[str, dict[str, Any]] = {
            "scheduler": {"edges": EDGES},
            "device-sim": {"edges": EDGES, "fleet_seed": self.seed, "delivery_grid": HOUR, **RATES},
        }
        self.services = {name: COMPOSITIONS[name][1](self._settings(name, given, own)) for name in NAMES}
        self._databases = {name: Savepoints(self.tx, name) for name in NAMES}
        self._runners = {
            name: TickRunner(service, self._databases[name], Metrics(name, service.consumes))
            for name, service in self.services.items()
        }

    @staticmethod
    def _settings(name: str, given: dict[str, Any], own: dict[str, dict[str, Any]]) -> Any:
        return COMPOSITIONS[name][0](**given, **own.get(name, {}))

    def clock(self) -> Instant:
        """The time, whenever it is asked."""
        return self.now

    # What people and other systems do

    async def begin(self) -> None:
        """The hubs leave the factory and enter the inventory."""
        new = [NewDevice(box.hub, partition_of_hub(box.hub), box.region, "Acme", "CH9", "H1", OLD) for box in BOXES]
        await self._command("device-sim", devices.command, new)
        await self.load(*BOXES)

    async def load(self, *boxes: Box) -> None:
        """Full records of hubs; the version that they run stays as it is known."""
        self.boxes.update({box.hub: box for box in boxes})
        known = dict(await self.fetch("smi", "select hub, firmware from hub"))
        await self._command("smi", inventory.command, [_loaded(box, known.get(box.hub, OLD)) for box in boxes])

    async def change_supplier(self, hub: HubId, role: Role, party: PartyId) -> None:
        """Another Party answers for the hub in this role from now on."""
        box = self.boxes[hub]
        is_import = role is Role.IMPORT_SUPPLIER
        self.boxes[hub] = replace(box, imports=party) if is_import else replace(box, gas=party)
        change = SupplierChange(hub, role, Claimed(role, party, user_of(party, role)))
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
        )
        try:
            receipt: accept.Receipt = await self._command("instruction", accept.command, submission)
        except Problem as problem:
            return str(problem.code)
        return receipt

    async def decide(self, mode: Mode, date: Instant | None, confirmed_by: str | None) -> bool:
        """The DCC decides, with a reason where the pilot has shown nothing; says whether it was taken."""
        proposal = Proposal(mode, "so decided", date, None, confirmed_by)
        refused = await self._propose(proposal)
        if refused == Refusal.PILOT_UNTRIED:
            refused = await self._propose(replace(proposal, without_pilot="so decided"))
        return refused is None

    async def _propose(self, proposal: Proposal) -> str | None:
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

    def announce(self, **changes: Any) -> None:
        """A notice goes out."""
        event = notice(**changes)
        self._say("notifier", RELEASE_NOTIFIED, partition_of_release(RELEASE), event)

    # What the system does by itself

    async def deliver(self, place: int, *, again: bool = False) -> bool:
        """Hand one event to the service it is for. What that service cannot take yet stays under way."""
        source = self.delivered if again else self.under_way
        if not source:
            return False
        found = source[place % len(source)]
        handler = self.services[found.service].consumes[found.topic].handler
        batch: Batch[Any] = Batch(found.topic.name, found.partition, (found.message,))
        try:
            async with self._databases[found.service].transaction() as tx:
                outcome = await handler(tx, batch, self.clock)
                assert not outcome.parked, outcome.parked
                self._keys += 1
                await write_outbox(tx, outcome.outgoing, f"{found.service}|{self._keys}", self.now)
        except TransientError:
            return False
        if not again:
            self.under_way.remove(found)
            self.delivered.append(found)
        await self._drain(found.service)
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

    async def settle(self) -> None:
        """Deliver all that is under way, in order, and call every tick, until nothing moves at this instant."""
        for _ in range(2_000):
            moved = False
            for place in range(len(self.under_way)):
                if await self.deliver(place):
                    moved = True
                    break
            if not moved:
                moved = any([await self.tick(name) > 0 for name in NAMES])
            if not moved:
                return
        raise AssertionError("it never settles")

    async def pass_time(self, span: timedelta) -> None:
        """Time goes on; what a hub was to do in between, it does at its own time."""
        end = self.now + span
        while True:
            due = await self._runners["device-sim"].next_due(self.now)
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            if await self.tick("device-sim") == 0:
                break
        self.now = end

    async def until_something_is_due(self) -> None:
        """Time goes on to the next instant at which any service has something to do."""
        dues = [await runner.next_due(self.now) for runner in self._runners.values()]
        due = min((due for due in dues if due is not None), default=self.now)
        await self.pass_time(max(due - self.now, timedelta(0)))

    async def fetch(self, service: str, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Rows of one service's schema."""
        async with self._databases[service].looking() as tx:
            return [tuple(row) for row in await tx.fetch(query, *arguments)]

    async def _command(
        self, service: str, command: Callable[[Tx, Any, Now], Awaitable[Answered[Any]]], body: Any
    ) -> Any:
        async with self._databases[service].transaction() as tx:
            answered = await command(tx, body, self.clock)
            await write_outbox(tx, answered.outgoing, answered.cause, self.now)
        await self._drain(service)
        return answered.answer

    async def _drain(self, service: str) -> None:
        """Everything in the outbox is under way."""
        rows: Sequence[Any]
        async with self._databases[service].looking() as tx:
            rows = await tx.fetch("delete from outbox returning id, topic, partition, event_id, payload")
        for row in sorted(rows, key=lambda row: int(row["id"])):
            topic = BY_NAME[row["topic"]]
            self._say(service, topic, row["partition"], topic.event.model_validate_json(row["payload"]))
        if rows and self.after_each is not None:
            await self.after_each()

    def _say(self, service: str, topic: Topic, partition: int, event: Event) -> None:
        self.published.append(Said(self.step, service, event))
        message = Received(len(self.published), UUID(int=len(self.published)), self.now, event)
        for consumer in topic.consumers:
            if consumer in self.services:
                self.under_way.append(UnderWay(consumer, topic, partition, message))


def _loaded(box: Box, firmware: str) -> Loaded:
    parties = ((Role.IMPORT_SUPPLIER, box.imports), (Role.GAS_SUPPLIER, box.gas))
    return Loaded(
        hub=box.hub,
        gpf=None,
        device_type=DeviceType(box.device_type),
        status=DeviceStatus(box.status),
        status_since=None,
        manufacturer="Acme",
        model=box.model,
        hardware=box.hardware,
        firmware=firmware,
        gbcs=box.gbcs,
        region=box.region,
        responsible=tuple(Claimed(role, party, user_of(party, role)) for role, party in parties if party),
    )
