"""What must hold after every step of a history: the invariants, in what the services keep and what they say."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from chfw_common.events.command import CommandKind, HubCancel, HubCommand
from chfw_common.events.decision import RolloutDecision
from chfw_common.events.distributed import FirmwareDistributed
from chfw_common.events.fenced import RolloutFenced
from chfw_common.events.progressed import HubProgressed
from chfw_common.events.rollout_progress import ProgressKind, RolloutProgressed
from tests.histories.cast import BOXES, NEW, RELEASE
from tests.histories.truth import Dates, Word, planned
from tests.histories.views import Force, Kept
from tests.histories.world import World

EDGE_OF: dict[int, str] = {box.hub: box.region for box in BOXES}
LET_GO = {"pilot", "run"}
FREE = {"eligible", "awaiting_consent", "scheduled", "distributing", "delivered", "delivery_failed"}
"""States in which a hub's time is what consent gives; in the others it is fixed by a CS06, or over."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A CS06 as the scheduler sent it."""

    activate_at: datetime
    epoch: int


@dataclass
class Watch:
    """Looks at a world after every step, and remembers what it saw."""

    world: World
    met: Counter[str] = field(default_factory=Counter)
    """What the history has led to: a history in which nothing happens shows nothing."""
    _heard: int = 0
    _rows: dict[int, Kept] = field(default_factory=dict)
    _told: dict[int, dict[int, str]] = field(default_factory=dict)
    _sent: dict[tuple[int, int], Sent] = field(default_factory=dict)
    _effective: dict[int, frozenset[int]] = field(default_factory=dict)
    _activated: dict[int, int] = field(default_factory=dict)
    _firmware: dict[int, str] = field(default_factory=dict)
    _epochs: list[int] = field(default_factory=list)
    _in_force: int = 0
    _at_risk_told: int = 0
    _seen: set[int] = field(default_factory=set)
    _armed: dict[int, int | None] = field(default_factory=dict)
    _obeyed: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world.after_each = self._events

    async def look(self, *, smi_may_change: bool) -> None:
        """All invariants. `smi_may_change`: the step let the inventory hear a hub, or loaded it."""
        await self._events()
        await self._ledger()
        await self._counts()
        await self._planned()
        await self._devices()
        await self._inventory(may_change=smi_may_change)
        await self._verdicts()

    async def _events(self) -> None:
        """I6: no command of an older epoch; I11: one line of epochs; I4: versions told grow; I7: who is at risk."""
        await self._forwarded()
        new, self._heard = self.world.published[self._heard :], len(self.world.published)
        epoch, min_epoch, mode = await self.world.views.in_force() or Force(0, 0, "held")
        assert epoch >= self._in_force, "the decision in force went back (I11)"
        self._in_force = epoch
        for said in new:
            self.met[type(said.event).__name__] += 1
            match said.event:
                case RolloutDecision(epoch=decided):
                    self._epochs.append(decided)
                    assert self._epochs == list(range(1, len(self._epochs) + 1)), "a gap or a twin (I11)"
                case FirmwareDistributed() | HubCommand() | HubCancel() as command:
                    assert min_epoch <= command.epoch <= epoch, "a command of another epoch (I6)"
                    self._command(command, mode)
                case RolloutFenced(edge=edge, min_epoch=obeyed):
                    self._obeyed[edge] = max(obeyed, self._obeyed.get(edge, 0))
                case HubProgressed() as progress:
                    self._progress(progress)
                case RolloutProgressed() as standing:
                    at_risk = await self.world.views.may_fire()
                    self._at_risk_told = standing.at_risk
                    self.met[f"told: {standing.kind}"] += 1
                    if standing.kind is ProgressKind.EFFECTIVE:
                        assert len(at_risk) == standing.at_risk, "the count at risk is not the ledger's (I20)"
                        self._effective[standing.epoch] = at_risk
                        self.met["at risk when effective"] += bool(at_risk)
                case _:
                    pass

    def _command(self, command: FirmwareDistributed | HubCommand | HubCancel, mode: str) -> None:
        if isinstance(command, FirmwareDistributed) or command.kind is CommandKind.ACTIVATE:
            assert mode in LET_GO, f"sent in mode {mode} (I6)"
        if isinstance(command, HubCommand) and command.kind is CommandKind.ACTIVATE:
            for item in command.items:
                assert item.activate_at is not None
                assert (item.hub, item.counter) not in self._sent, "a counter was used twice (I8)"
                assert item.activate_at > self.world.now, "not future-dated (I5)"
                self._sent[item.hub, item.counter] = Sent(item.activate_at, command.epoch)

    def _progress(self, progress: HubProgressed) -> None:
        for item in progress.items:
            if item.too_late:
                continue
            said = item.model_dump_json(exclude={"hubs"})
            for hub, version in item.hubs.items():
                told = self._told.setdefault(hub, {})
                assert told.get(version, said) == said, "one version with two contents (I4)"
                told[version] = said

    async def _ledger(self) -> None:
        """I4: a row that differs has a higher version."""
        rows = await self.world.views.rows()
        for hub, before in self._rows.items():
            assert hub in rows, "a row is gone (I1)"
            after = rows[hub]
            assert after.version > before.version or after == before, f"{before} became {after} (I4)"
        self._rows = rows

    async def _counts(self) -> None:
        """I20: the counts are the rows; a hub that has left the release armed has got a cancel (I7)."""
        assert not await self.world.views.miscounts(), "counts are not the rows (I20)"
        assert not await self.world.views.left_armed(), "left the release armed, and no cancel (I7)"

    async def _planned(self) -> None:
        """I19: the planned time of every hub is what the consent table gives, unless a CS06 has fixed it."""
        laid = await self.world.views.laid()
        if laid is None or await self.world.views.working():
            return
        for hub, row in self._rows.items():
            mine = next((wave for wave in laid.waves if row.region in (wave.regions or [row.region])), None)
            assert row.wave == (mine and mine.name), "another wave than its own (I19)"
            group = Dates(
                mine.automatic_date if mine else laid.automatic_date, mine.opens if mine else None, laid.pilot_opens
            )
            if row.state in FREE:
                expected = planned([word for _, word in row.words], row.holders, group, mandatory=laid.mandatory)
                assert row.activate_at == expected, f"{hub}: planned for {row.activate_at}, not {expected} (I19)"

    async def _devices(self) -> None:
        """I5: not before its time, not without an image; I7: not after a halt was effective; I8: once."""
        for hub, firmware, _, release, at, activations, counter in await self.world.views.devices():
            if release != RELEASE:
                continue
            assert activations == 1, "activated twice (I8)"
            assert firmware == NEW
            if self._activated.setdefault(hub, counter) != counter or hub in self._seen:
                continue
            self._seen.add(hub)
            self.met["activated"] += 1
            sent = self._sent[hub, counter]
            assert at is not None
            assert at >= sent.activate_at, "activated before its time (I5)"
            for halt, at_risk in self._effective.items():
                assert sent.epoch >= halt or hub in at_risk, f"activated after halt {halt} was effective (I7)"

    async def _forwarded(self) -> None:
        """I6: an edge that has said that it obeys a halt lets no older CS06 pass."""
        for device in await self.world.views.devices():
            hub, armed = device.hub, device.armed_counter
            if armed is not None and self._armed.get(hub) != armed:
                epoch, obeyed = self._sent[hub, armed].epoch, self._obeyed.get(EDGE_OF[hub], 0)
                assert epoch >= obeyed, f"a CS06 of epoch {epoch} passed an edge that obeys {obeyed} (I6)"
            self._armed[hub] = armed

    async def _inventory(self, *, may_change: bool) -> None:
        """I18: the inventory's version changes by what a hub says, and by nothing else."""
        rows = await self.world.views.inventory()
        if not may_change:
            assert all(self._firmware.get(hub, now) == now for hub, now in rows.items()), "changed by itself (I18)"
        devices = {device.hub: device.firmware for device in await self.world.views.devices()}
        ahead = [hub for hub, version in rows.items() if version == NEW != devices[hub]]
        assert not ahead, "shown as updated before it was (I18)"
        self._firmware = rows

    async def _verdicts(self) -> None:
        """I13: every entry of a judged request has one verdict, and the counts add up to the entries."""
        for entries, counts, verdicts, places in await self.world.views.judged():
            assert sum(counts.values()) == entries == verdicts == places, "not all-or-listed (I13)"

    async def end(self) -> None:
        """I1, I3: once everything has been heard, the newest accepted answer of each Party is in the row of each hub
        that it names, or noted as too late; nothing else is. I20: the last count at risk told is 0 if it is."""
        if not await self.world.views.may_fire():
            assert self._at_risk_told == 0, "the count at risk is 0, and nobody was told (I20)"
        accepted: dict[tuple[int, str], list[tuple[int, Word]]] = {}
        for hub, seq, word in await self.world.views.accepted():
            accepted.setdefault((hub, word.party), []).append((seq, word))
        late = await self.world.views.late()
        merged = {(hub, word.party): (seq, word) for hub, row in self._rows.items() for seq, word in row.words}
        self.met["answers accepted"] += sum(map(len, accepted.values()))
        self.met["answers too late"] += len(late)
        for (hub, party), words in accepted.items():
            in_time = [(seq, word) for seq, word in words if (hub, party, seq) not in late]
            expected = max(in_time, key=lambda one: one[0], default=None)
            found = merged.pop((hub, party), None)
            assert found == expected, f"{party} on {hub}: {found} is merged, not {expected} (I1, I3)"
        assert not merged, f"merged without an accepted request: {merged} (I3)"
