"""The inventory and governance of a pure history: lines and a release in memory, and their own rules."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from chfw_common.events.alert import Cs06Alert
from chfw_common.events.release import ReleaseNotified
from chfw_common.events.response import HubResponse, ResponseKind
from chfw_common.events.smi import CauseKind, SmiCause
from chfw_common.kernel.hubs import HubRecord
from chfw_common.kernel.ids import HubId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import Mode
from chfw_common.runtime.service import Outgoing
from chfw_common.topology import partition_of_hub
from chfw_governance.domain.decide import Decided, Notice, Proposal, Standing, decide, ends_pilot, hold_for_cpl
from chfw_governance.stages.decide import published
from chfw_smi.domain.inventory import (
    Heard,
    Line,
    Loaded,
    Observation,
    Sight,
    SupplierChange,
    change_suppliers,
    load,
    observe,
    restores,
)
from chfw_smi.stages.tell import Told, tell
from chfw_smi.store.status import RESTORED_TO
from tests.histories.cast import RELEASE


class Inventory:
    """Lines of hubs, and what absorbs repeats of their words. `register` is what other services look up."""

    ticks: tuple[Callable[[Instant], list[Outgoing] | None], ...] = ()

    def __init__(self) -> None:
        self.register: dict[HubId, HubRecord] = {}
        self._lines: dict[HubId, Line] = {}
        self._heard: dict[HubId, Heard] = {}

    def take_load(self, records: Sequence[Loaded], now: Instant) -> list[Outgoing]:
        """Full records."""
        told: list[Told] = []
        for record in records:
            line = load(self._lines.get(record.hub), record, partition_of_hub(record.hub), now)
            if line is not None:
                told.append((line, SmiCause(kind=CauseKind.LOAD, at=now)))
        return self._keep(told)

    def take_change(self, change: SupplierChange, now: Instant) -> list[Outgoing]:
        """A change of Supplier."""
        line = change_suppliers(self._lines[change.hub], [change], now)
        return [] if line is None else self._keep([(line, SmiCause(kind=CauseKind.SUPPLIER_CHANGE, at=now))])

    def hear(self, message: Any, _: Instant) -> list[Outgoing]:
        """What hubs say."""
        told: list[Told] = []
        for seen in _observations(message.event):
            line, kept = self._lines[seen.hub], self._heard[seen.hub]
            before = kept._replace(
                firmware=line.record.firmware, firmware_at=line.firmware_at, smi_version=line.record.smi_version
            )
            after = observe(before, seen)
            if after is None:
                continue
            self._heard[seen.hub] = after
            record = replace(line.record, firmware=after.firmware, smi_version=after.smi_version)
            line = replace(line, record=record, firmware_at=after.firmware_at)
            if restores(record.status, before, after):
                line = replace(line, record=replace(record, status=RESTORED_TO), status_since=seen.at)
            self._lines[seen.hub] = line
            kind = CauseKind.ALERT if seen.sight is Sight.ALERT else CauseKind.READ
            cause = SmiCause(
                kind=kind, at=seen.at, release_id=seen.release_id, counter=seen.command_counter, outcome=seen.outcome
            )
            told.append((line, cause))
        return self._keep(told)

    def next_due(self, _: Instant) -> Instant | None:
        """It does nothing by itself."""
        return None

    def _keep(self, told: Sequence[Told]) -> list[Outgoing]:
        for line, _ in told:
            hub = line.record.hub
            self._lines[hub], self.register[hub] = line, line.record
            self._heard.setdefault(hub, Heard(line.record.firmware, line.firmware_at, line.record.smi_version))
        return tell(told)


def _observations(event: Cs06Alert | HubResponse) -> list[Observation]:
    if isinstance(event, Cs06Alert):
        return [
            Observation(
                item.hub, Sight.ALERT, event.release_id, item.alert_counter, item.command_counter, item.firmware,
                item.executed_at, item.outcome,
            )
            for item in event.items
        ]  # fmt: skip
    return [
        Observation(item.hub, Sight.READ, event.release_id, item.counter, item.counter, item.firmware, item.at)
        for item in event.items
        if item.kind is ResponseKind.VERSION_READ and item.counter is not None and item.firmware is not None
    ]


class Governance:
    """One release. `pilot_tried` is looked up in the ledger."""

    ticks: tuple[Callable[[Instant], list[Outgoing] | None], ...] = ()

    def __init__(self, pilot_tried: Callable[[], bool]) -> None:
        self.standing: Standing | None = None
        self._version = 0
        self._pilot_tried = pilot_tried

    def hear(self, message: Any, now: Instant) -> list[Outgoing]:
        """A notice opens the release, or says whether its CPL entry is Active. Progress is told to people alone."""
        event = message.event
        if not isinstance(event, ReleaseNotified):
            return []
        active = event.cpl.state == "Active"
        if self.standing is None:
            self.standing = Standing(
                0, 0, Mode.HELD, event.notified_at, event.automatic_date, event.waves, cpl_active=active
            )
            self._version = event.version
        elif event.version > self._version:
            self.standing, self._version = replace(self.standing, cpl_active=active), event.version
        decided = hold_for_cpl(self.standing, event.cpl.state, now)
        return [] if decided is None else self._take(decided, now)

    def propose(self, proposal: Proposal, now: Instant) -> str | list[Outgoing]:
        """The decision, or the code of its refusal."""
        if self.standing is None:
            return "unknown_release"
        tried = ends_pilot(self.standing, proposal) and self._pilot_tried()
        decided = decide(self.standing, proposal, now, Notice(), pilot_tried=tried)
        return self._take(decided, now) if isinstance(decided, Decided) else decided.value

    def next_due(self, _: Instant) -> Instant | None:
        """It does nothing by itself."""
        return None

    def _take(self, decided: Decided, now: Instant) -> list[Outgoing]:
        self.standing = decided.standing
        return [published(RELEASE, decided, now)]
