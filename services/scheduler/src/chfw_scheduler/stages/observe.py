"""The inventory speaks: new hubs are enrolled, outcomes and changes of Supplier reach the rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from chfw_common.events.smi import CauseKind, SmiHub, SmiUpdated
from chfw_common.kernel.applicability import inapplicable
from chfw_common.kernel.hubs import HubRecord, Responsibility
from chfw_common.kernel.ids import HubId
from chfw_common.published import smi
from chfw_common.runtime.service import Batch, Now, Outcome, Outgoing, Tx
from chfw_scheduler.domain import hear
from chfw_scheduler.domain.act import call_back
from chfw_scheduler.domain.facts import Facts, Inventory, Row
from chfw_scheduler.domain.rollout import Pacing, Rollout
from chfw_scheduler.stages.announce import enrol
from chfw_scheduler.stages.command import commands, give_counters, has_commands
from chfw_scheduler.stages.progress import write_back
from chfw_scheduler.stages.respond import call_back_again
from chfw_scheduler.store import ledger, releases


@dataclass(frozen=True, slots=True)
class Observe:
    """The stage."""

    pacing: Pacing

    async def handle(self, tx: Tx, batch: Batch[SmiUpdated], now: Now) -> Outcome:
        """Take records into every release that has the hub, and enrol those that are new to one."""
        items = [item for event in batch.events for item in event.items]
        outgoing: list[Outgoing] = []
        hubs = sorted({item.hub for item in items})
        for release_id in await releases.known(tx):
            rows = await ledger.lock_rows(tx, release_id, batch.partition, hubs, wait=not has_commands(outgoing))
            for rollout in await releases.read_rollouts(tx, self.pacing, [release_id]):
                outgoing += await self._take_in(tx, rollout, batch.partition, rows, items, now)
        return Outcome(outgoing)

    async def _take_in(
        self,
        tx: Tx,
        rollout: Rollout,
        part: int,
        rows: dict[HubId, Row],
        items: Sequence[SmiHub],
        now: Now,
    ) -> list[Outgoing]:
        unknown = (item for item in items if item.hub not in rows)
        newest = {item.hub: item for item in sorted(unknown, key=lambda item: item.smi_version)}
        strangers = [_record(item, part) for _, item in sorted(newest.items())]
        eligible = [hub for hub in strangers if not rollout.ended and inapplicable(rollout.image, hub) is None]
        outgoing = await enrol(tx, rollout, await _as_they_are(tx, eligible))
        facts = {hub: row.facts for hub, row in rows.items()}
        anomalies: list[tuple[HubId, hear.Anomaly | None]] = []
        for item in items:
            if item.hub in facts:
                facts[item.hub], anomaly = _learn(facts[item.hub], item, rollout)
                anomalies.append((item.hub, anomaly))
        at = now()
        await releases.note_anomalies(tx, rollout.release_id, anomalies, at)
        if any(call_back(known, rollout, at)[1] for known in facts.values()):
            # A cancel is a command, sent under the decision in force. Few batches have one, so few share the release.
            rollout = await releases.share_at_once(tx, rollout)
            at = now()
            again = await give_counters(tx, facts, call_back_again(facts, rollout, at), at, wait=False)
            outgoing = commands(rollout, again, at) + outgoing
        return outgoing + await write_back(tx, rollout, [(row, facts[hub]) for hub, row in rows.items()])


async def _as_they_are(tx: Tx, strangers: Sequence[HubRecord]) -> list[HubRecord]:
    """The hubs as the register has them. What was told may be old by now (a parked record that was handed in again),
    and what was told later of a hub without a row has left no trace here."""
    if not strangers:
        return []
    found = await smi.lookup(tx, [hub.hub for hub in strangers])
    return [max(hub, found.get(hub.hub, hub), key=lambda one: one.smi_version) for hub in strangers]


def _responsible(item: SmiHub) -> tuple[Responsibility, ...]:
    return tuple(Responsibility(one.party, one.user_id, one.role, one.since) for one in item.responsible)


def _inventory(item: SmiHub) -> Inventory:
    return Inventory(item.smi_version, item.firmware, item.status, item.region, _responsible(item))


def _record(item: SmiHub, part: int) -> HubRecord:
    return HubRecord(
        hub=item.hub,
        part=part,
        device_type=item.device_type,
        status=item.status,
        manufacturer=item.manufacturer,
        model=item.model,
        hardware=item.hardware,
        firmware=item.firmware,
        gbcs=item.gbcs,
        region=item.region,
        responsible=_responsible(item),
        smi_version=item.smi_version,
    )


def _learn(facts: Facts, item: SmiHub, rollout: Rollout) -> hear.Learnt:
    facts = hear.inventory_says(facts, _inventory(item))
    cause = item.cause
    if cause.kind is not CauseKind.ALERT or cause.release_id != rollout.release_id or cause.outcome is None:
        return facts, None
    return hear.outcome(facts, cause.counter, cause.outcome, cause.at)
