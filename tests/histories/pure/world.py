"""The world of a pure history: the five services in memory, each no more than its rules and what they need to know."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import chfw_device_sim.settings
import chfw_scheduler.settings
from chfw_common.kernel.ids import HubId, PartyId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.lines import Taken, digest, fault
from chfw_common.runtime.service import Outgoing
from chfw_common.topology import RELEASE_NOTIFIED, ROLLOUT_DECISION, partition_of_hub
from chfw_device_sim.domain.fate import Fate
from chfw_device_sim.domain.image import Radio
from chfw_device_sim.service import network_of
from chfw_device_sim.stages.network import Network
from chfw_governance.domain.decide import Proposal
from chfw_instruction.stages.accept import Receipt
from chfw_scheduler.domain.facts import Row
from chfw_scheduler.domain.totals import OUT, must_not_fire
from chfw_smi.domain.inventory import Loaded, SupplierChange
from tests.histories.cast import BEGIN, BOXES, EDGES, HOUR, OLD, Asked
from tests.histories.pure.intake import Intake
from tests.histories.pure.network import Devices
from tests.histories.pure.register import Governance, Inventory
from tests.histories.pure.scheduler import Scheduler
from tests.histories.truth import Holder, Word
from tests.histories.views import Accepted, Device, Force, Judged, Kept, Laid, Late
from tests.histories.world import RATES, UnderWay, World
from tests.support.settings import nowhere

_GIVEN = nowhere(edges=EDGES)
LINES = (RELEASE_NOTIFIED, ROLLOUT_DECISION)
_TRIED = frozenset({"activated", "confirmed", "failed_final"})
"""The states of a pilot hub that has come to an end (`pilot_tried` in the statements of governance)."""


@cache
def _scheduler_settings() -> chfw_scheduler.settings.Settings:
    return chfw_scheduler.settings.Settings(**_GIVEN)


@cache
def _network() -> Network:
    settings = chfw_device_sim.settings.Settings(**{**_GIVEN, **RATES, "delivery_grid": HOUR})
    return network_of(settings, lambda: BEGIN)


class PureWorld(World):
    """Nothing is stored, nothing is written as JSON, nobody waits; an event is taken in whole."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._lines: dict[tuple[str, str], Taken] = {}
        self.inventory = Inventory()
        register = self.inventory.register
        self.scheduler = Scheduler(_scheduler_settings(), register)
        self.intake = Intake(register, self._is_proposed)
        self.governance = Governance(self._pilot_tried)
        network = _network()
        radio = Radio(Fate(seed, network.radio.fate.assumed), network.radio.grid)
        self.devices = Devices(replace(network, radio=radio, machine_now=self.clock))
        self._services: dict[str, Any] = {
            "instruction": self.intake,
            "scheduler": self.scheduler,
            "device-sim": self.devices,
            "smi": self.inventory,
            "governance": self.governance,
        }
        self.views = Memory(self)

    async def manufacture(self) -> None:
        """The hubs leave the factory."""
        for box in BOXES:
            self.devices.add(box.hub, partition_of_hub(box.hub), box.region, OLD)

    async def submit(self, asked: Asked, key: str, *, digest: bytes = b"d") -> Receipt | str:
        """A request; its receipt, or the code of its refusal."""
        return self.intake.submit(asked, key, digest, self.now)

    async def propose(self, proposal: Proposal) -> str | None:
        """A decision of the DCC; the code of its refusal."""
        answer = self.governance.propose(proposal, self.now)
        if isinstance(answer, str):
            return answer
        await self._publish("governance", answer)
        return None

    async def take_load(self, records: list[Loaded]) -> None:
        """The inventory is loaded."""
        await self._publish("smi", self.inventory.take_load(records, self.now))

    async def take_change(self, change: SupplierChange) -> None:
        """The inventory is told of a change of Supplier."""
        await self._publish("smi", self.inventory.take_change(change, self.now))

    async def hand(self, event: UnderWay) -> bool:
        """A service takes an event; False: it is out of line."""
        if not self._in_line(event):
            return False
        await self._publish(event.service, self._services[event.service].hear(event.message, self.now))
        return True

    def _in_line(self, event: UnderWay) -> bool:
        """Whether it is no decision and no notice, or the next one, or one that came before. Edges take from notices
        nothing that a later one could change."""
        if event.topic not in LINES or (event.topic, event.service) == (RELEASE_NOTIFIED, "device-sim"):
            return True
        fact: Any = event.message.event
        taken = self._lines.setdefault((event.service, event.topic.name), {})
        if fault(taken, fact.number, digest(fact)) is not None:
            return False
        taken[fact.number] = digest(fact)
        return True

    async def tick(self, name: str) -> int:
        """Call each tick of a service as often as there is something to do; says how often there was."""
        ran = 0
        for tick in self._services[name].ticks:
            while (outgoing := tick(self.now)) is not None:
                ran += 1
                assert ran < 500, f"{name}: {tick.__name__} runs hot"
                await self._publish(name, outgoing)
        return ran

    async def next_due(self, name: str) -> Instant | None:
        """When a service next has something to do by itself."""
        due: Instant | None = self._services[name].next_due(self.now)
        return due

    async def _publish(self, service: str, outgoing: Sequence[Outgoing]) -> None:
        for out in outgoing:
            self.say(service, out.topic, out.partition, out.event)
        if outgoing and self.after_each is not None:
            await self.after_each()

    def _is_proposed(self, party: PartyId, at: Instant, hub: HubId) -> bool:
        row = self.scheduler.rows.get(hub)
        if row is None or row.shown is None or row.shown.proposed_at != at:
            return False
        return party in {one.party for one in row.facts.inventory.responsible}

    def _pilot_tried(self) -> bool:
        shown = (row.shown for row in self.scheduler.rows.values())
        return any(one is not None and one.pilot and one.state in _TRIED for one in shown)


class Memory:
    """The views of a history on what its services have in memory."""

    def __init__(self, world: PureWorld) -> None:
        self._world = world

    async def in_force(self) -> Force | None:
        """The decision in force."""
        found = self._world.scheduler.decision
        return None if found is None else Force(found.epoch, found.min_epoch, found.mode)

    async def laid(self) -> Laid | None:
        """What is laid down."""
        notice, decision = self._world.scheduler.notice, self._world.scheduler.decision
        if notice is None:
            return None
        dates = decision or notice
        return Laid(notice.rule == "mandatory", notice.pilot_opens, dates.automatic_date, dates.waves)

    async def decided_date(self) -> Instant | None:
        """D as governance has it."""
        standing = self._world.governance.standing
        return None if standing is None else standing.automatic_date

    async def rows(self) -> dict[int, Kept]:
        """The ledger."""
        return {hub: _kept(row) for hub, row in self._world.scheduler.rows.items()}

    async def proposed_at(self, hub: HubId) -> Instant | None:
        """The time that is proposed for a hub."""
        row = self._world.scheduler.rows.get(hub)
        return None if row is None or row.shown is None else row.shown.proposed_at

    async def may_fire(self) -> frozenset[int]:
        """Hubs with a CS06 that may fire and must not."""
        return frozenset(hub for hub, row in self._world.scheduler.rows.items() if self._must_not_fire(row))

    async def left_armed(self) -> frozenset[int]:
        """Hubs that have left the release with such a CS06, to which no cancel was sent."""
        return frozenset(
            hub
            for hub, row in self._world.scheduler.rows.items()
            if row.facts.arming.may_fire
            and row.shown is not None
            and row.shown.state in OUT
            and row.facts.arming.cancel_counter < row.facts.arming.counter
        )

    async def miscounts(self) -> Sequence[object]:
        """Nothing is counted here but what is there."""
        return ()

    async def working(self) -> bool:
        """Whether a job is not done."""
        return bool(self._world.scheduler.jobs)

    async def devices(self) -> Sequence[Device]:
        """The hubs themselves."""
        return self._world.devices.shown()

    async def inventory(self) -> dict[int, str]:
        """The version of each hub in the inventory."""
        return {hub: record.firmware for hub, record in self._world.inventory.register.items()}

    async def judged(self) -> Sequence[Judged]:
        """The requests that are judged."""
        return self._world.intake.judged()

    async def accepted(self) -> Sequence[Accepted]:
        """The entries that are accepted."""
        return self._world.intake.accepted()

    async def late(self) -> set[Late]:
        """The answers that came too late."""
        return self._world.scheduler.late

    def _must_not_fire(self, row: Row) -> bool:
        arming, shown = row.facts.arming, row.shown
        if arming.at is None or not arming.may_fire or shown is None or shown.state == "confirmed":
            return False
        return arming.cancelling or must_not_fire(arming.epoch, shown.state, self._world.scheduler.min_epoch)


def _kept(row: Row) -> Kept:
    facts, shown = row.facts, row.shown
    assert shown is not None
    words = tuple(
        (one.party_seq, Word(one.party, one.kind, one.group, one.received_at, one.activate_at))
        for one in facts.consent.answers
    )
    holders = tuple(Holder(one.party, one.since) for one in facts.inventory.responsible)
    return Kept(
        row.version, shown.state, shown.activate_at, words, facts.inventory.region, shown.wave, holders,
        facts.delivery.delivered_at,
    )  # fmt: skip
