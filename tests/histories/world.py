"""Five services, and every event under way between them in a bag: it may come late, twice, or in another order.

Nothing here decides anything. What the services are made of is in `stages.py` (their own stages on Postgres) and in
`pure.py` (their pure rules, in memory).
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from chfw_common.events.base import Event
from chfw_common.kernel.hubs import DeviceStatus, DeviceType
from chfw_common.kernel.ids import HubId, PartyId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import Mode
from chfw_common.runtime.service import Received
from chfw_common.topology import RELEASE_NOTIFIED, Topic, partition_of_release
from chfw_governance.domain.decide import Proposal, Refusal
from chfw_instruction.stages.accept import Receipt
from chfw_smi.domain.inventory import Claimed, Loaded, SupplierChange
from tests.histories.cast import BEGIN, BOXES, EDGES, HOUR, OLD, RELEASE, Asked, Box, notice, user_of
from tests.histories.views import Views

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


class World(ABC):
    """The services, and what is under way. `published` is everything that was ever said, in order."""

    views: Views

    def __init__(self) -> None:
        self.now: Instant = BEGIN
        self.step = 0
        self.boxes: dict[HubId, Box] = {}
        self.under_way: list[UnderWay] = []
        self.delivered: list[UnderWay] = []
        self.published: list[Said] = []
        self.after_each: Callable[[], Awaitable[None]] | None = None
        """Looks at what was said before anything else happens."""

    def clock(self) -> Instant:
        """The time, whenever it is asked."""
        return self.now

    # What the services do

    @abstractmethod
    async def manufacture(self) -> None:
        """The hubs leave the factory."""

    @abstractmethod
    async def submit(self, asked: Asked, key: str, *, digest: bytes = b"d") -> Receipt | str:
        """A request; its receipt, or the code of its refusal."""

    @abstractmethod
    async def propose(self, proposal: Proposal) -> str | None:
        """A decision of the DCC; the code of its refusal."""

    @abstractmethod
    async def take_load(self, records: list[Loaded]) -> None:
        """The inventory is loaded."""

    @abstractmethod
    async def take_change(self, change: SupplierChange) -> None:
        """The inventory is told of a change of Supplier."""

    @abstractmethod
    async def hand(self, event: UnderWay) -> bool:
        """A service takes an event, all of it or nothing; False: it cannot take it yet."""

    @abstractmethod
    async def tick(self, name: str) -> int:
        """Call each tick of a service as often as it asks for; says how often one ran."""

    @abstractmethod
    async def next_due(self, name: str) -> Instant | None:
        """When a service next has something to do by itself."""

    # What people and other systems do

    async def begin(self) -> None:
        """The hubs leave the factory and enter the inventory."""
        await self.manufacture()
        await self.load(*BOXES)

    async def load(self, *boxes: Box) -> None:
        """Full records of hubs; the version that they run stays as it is known."""
        self.boxes.update({box.hub: box for box in boxes})
        known = await self.views.inventory()
        await self.take_load([_loaded(box, known.get(box.hub, OLD)) for box in boxes])

    async def change_supplier(self, hub: HubId, role: Role, party: PartyId) -> None:
        """Another Party answers for the hub in this role from now on."""
        box = self.boxes[hub]
        is_import = role is Role.IMPORT_SUPPLIER
        self.boxes[hub] = replace(box, imports=party) if is_import else replace(box, gas=party)
        await self.take_change(SupplierChange(hub, role, Claimed(role, party, user_of(party, role))))

    async def decide(self, mode: Mode, date: Instant | None, confirmed_by: str | None) -> bool:
        """The DCC decides, with a reason where the pilot has shown nothing; says whether it was taken."""
        proposal = Proposal(mode, "so decided", date, None, confirmed_by)
        refused = await self.propose(proposal)
        if refused == Refusal.PILOT_UNTRIED:
            refused = await self.propose(replace(proposal, without_pilot="so decided"))
        return refused is None

    def announce(self, **changes: Any) -> None:
        """A notice goes out."""
        self.say("notifier", RELEASE_NOTIFIED, partition_of_release(RELEASE), notice(**changes))

    # What the system does by itself

    async def deliver(self, place: int, *, again: bool = False) -> bool:
        """Hand one event to the service it is for. What that service cannot take yet stays under way."""
        source = self.delivered if again else self.under_way
        if not source:
            return False
        found = source[place % len(source)]
        return await self._hand(found) if again else await self._hand_over(found)

    async def deliver_all_of(self, topic: Topic, *, backwards: bool) -> None:
        """Hand over all events of a topic, whatever else is under way."""
        found = [event for event in self.under_way if event.topic is topic]
        for event in reversed(found) if backwards else found:
            await self._hand_over(event)

    async def _hand(self, found: UnderWay) -> bool:
        """What a hub makes of a command may be heard later, so what it holds is looked at now."""
        taken = await self.hand(found)
        if found.service == "device-sim" and self.after_each is not None:
            await self.after_each()
        return taken

    async def _hand_over(self, found: UnderWay) -> bool:
        if not await self._hand(found):
            return False
        self.under_way = [event for event in self.under_way if event is not found]
        self.delivered.append(found)
        return True

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
            due = await self.next_due("device-sim")
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            if await self.tick("device-sim") == 0:
                break
        self.now = end

    async def until_something_is_due(self) -> None:
        """Time goes on to the next instant at which any service has something to do."""
        dues = [await self.next_due(name) for name in NAMES]
        due = min((due for due in dues if due is not None), default=self.now)
        await self.pass_time(max(due - self.now, timedelta(0)))

    def say(self, service: str, topic: Topic, partition: int, event: Event) -> None:
        """An event is published, and under way to each service that hears it."""
        self.published.append(Said(self.step, service, event))
        message = Received(len(self.published), UUID(int=len(self.published)), self.now, event)
        for consumer in topic.consumers:
            if consumer in NAMES:
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
