"""The inventory speaks: new hubs are enrolled, outcomes and changes of Supplier reach the rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from chfw_common.events.smi import CauseKind, SmiHub, SmiUpdated
from chfw_common.kernel.codes import code
from chfw_common.kernel.hubs import Make, Responsibility
from chfw_common.kernel.ids import HubId
from chfw_common.published import smi
from chfw_common.runtime.service import Batch, Now, Outcome, Outgoing, Tx
from chfw_scheduler.domain import hear
from chfw_scheduler.domain.act import call_back
from chfw_scheduler.domain.facts import Facts, Inventory, Row, recorded
from chfw_scheduler.domain.rollout import Pacing, Rollout
from chfw_scheduler.stages.announce import open_rows
from chfw_scheduler.stages.command import commands, give_counters, has_commands
from chfw_scheduler.stages.progress import write_back
from chfw_scheduler.stages.respond import call_back_again
from chfw_scheduler.store import enrolment, ledger, releases


@dataclass(frozen=True, slots=True)
class Observe:
    """The stage."""

    pacing: Pacing

    async def handle(self, tx: Tx, batch: Batch[SmiUpdated], now: Now) -> Outcome:
        """Take records into every release that has the hub, and enrol those that are new to one.

        Nobody enrols hubs of this partition meanwhile: a row that is not there yet cannot be locked, and what is told
        of its hub would be lost.
        """
        items = [item for event in batch.events for item in event.items]
        hubs = sorted({item.hub for item in items})
        outgoing: list[Outgoing] = []
        for release_id in await enrolment.own(tx, batch.partition):
            known = await ledger.lock_rows(tx, release_id, batch.partition, hubs, wait=not has_commands(outgoing))
            for rollout in await releases.read_rollouts(tx, self.pacing, [release_id]):
                strangers = [item for item in items if item.hub not in known]
                outgoing += await self._enrol(tx, rollout, batch.partition, strangers)
                outgoing += await self._take_in(tx, rollout, known, items, now)
        return Outcome(outgoing)

    async def _enrol(self, tx: Tx, rollout: Rollout, part: int, items: Sequence[SmiHub]) -> list[Outgoing]:
        newest = {item.hub: item for item in sorted(items, key=lambda item: item.smi_version)}
        strangers = [Facts(hub, part, inventory_of(item)) for hub, item in sorted(newest.items())]
        fitting = [facts for facts in strangers if not rollout.ended and rollout.misfit(facts.inventory) is None]
        if not fitting:
            return []
        current = await releases.share_at_once(tx, rollout)
        found = [facts for facts in await _as_they_are(tx, fitting) if current.misfit(facts.inventory) is None]
        return await open_rows(tx, current, found)

    async def _take_in(
        self, tx: Tx, rollout: Rollout, rows: dict[HubId, Row], items: Sequence[SmiHub], now: Now
    ) -> list[Outgoing]:
        sent: list[Outgoing] = []
        facts = {hub: row.facts for hub, row in rows.items()}
        anomalies: list[tuple[HubId, hear.Anomaly | None]] = []
        for item in items:
            if item.hub in facts:
                facts[item.hub], anomaly = learn(facts[item.hub], item, rollout)
                anomalies.append((item.hub, anomaly))
        at = now()
        await releases.note_anomalies(tx, rollout.release_id, anomalies, at)
        if any(call_back(known, rollout, at)[1] for known in facts.values()):
            # Something is sent, as by a claim: under the decision in force, and the release is held at that instant.
            rollout = await releases.share_at_once(tx, rollout)
            at = now()
            again = await give_counters(tx, facts, call_back_again(facts, rollout, at), at, wait=False)
            sent = commands(rollout, again, at)
        return sent + await write_back(tx, rollout, [(row, facts[hub]) for hub, row in rows.items()], at)


async def _as_they_are(tx: Tx, strangers: Sequence[Facts]) -> list[Facts]:
    """The hubs as the register has them. What was told may be old by now (a parked record that was handed in again),
    and what was told later of a hub without a row has left no trace here."""
    found = await smi.lookup(tx, [facts.hub for facts in strangers])
    told = [(facts, found.get(facts.hub)) for facts in strangers]
    return [facts if known is None else hear.inventory_says(facts, recorded(known)) for facts, known in told]


def _responsible(item: SmiHub) -> tuple[Responsibility, ...]:
    return tuple(Responsibility(one.party, one.user_id, one.role, one.since) for one in item.responsible)


def inventory_of(item: SmiHub) -> Inventory:
    """What a record says, as the ledger keeps it."""
    make = Make(item.device_type, item.manufacturer, item.model, item.hardware, item.gbcs)
    return Inventory(item.smi_version, item.firmware, item.status, item.region, _responsible(item), make)


def learn(facts: Facts, item: SmiHub, rollout: Rollout) -> hear.Learnt:
    """What a row learns from a record: the inventory, and the outcome that an alert of this release told."""
    ran = code(facts.inventory.firmware)
    facts = hear.inventory_says(facts, inventory_of(item))
    cause = item.cause
    if cause.kind is not CauseKind.ALERT or cause.release_id != rollout.release_id or cause.outcome is None:
        return facts, None
    runs, new = code(facts.inventory.firmware), rollout.image.firmware
    doubted = hear.contradicts(cause.outcome, runs=runs, ran=ran, new=new)
    return hear.outcome(facts, cause.counter, cause.outcome, cause.at, doubted=doubted)
