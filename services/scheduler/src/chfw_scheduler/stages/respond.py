"""The edge and the hub answer: the image delivered or not, the CS06 stored or refused, the version read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from chfw_common.events.response import HubResponse, ResponseItem, ResponseKind
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import Batch, Now, Outcome, Outgoing, Tx
from chfw_scheduler.domain import hear
from chfw_scheduler.domain.act import call_back, claim_if_due
from chfw_scheduler.domain.facts import Facts, Row, Shown
from chfw_scheduler.domain.rollout import Pacing, Rollout
from chfw_scheduler.domain.state import show
from chfw_scheduler.stages.command import Commanded, commands, give_counters, has_commands
from chfw_scheduler.stages.progress import write_back
from chfw_scheduler.store import ledger, releases


@dataclass(frozen=True, slots=True)
class Respond:
    """The stage."""

    pacing: Pacing

    async def handle(self, tx: Tx, batch: Batch[HubResponse], now: Now) -> Outcome:
        """Take in answers, release by release."""
        outgoing: list[Outgoing] = []
        by_release: dict[ReleaseId, list[ResponseItem]] = {}
        for event in batch.events:
            by_release.setdefault(event.release_id, []).extend(event.items)
        for release_id in sorted(by_release):
            # A cancel may have to go out again, so the release is shared as for a claim; locks come before rows.
            await releases.share_release(tx, release_id)
        for number, (release_id, items) in enumerate(sorted(by_release.items())):
            hubs = sorted({item.hub for item in items})
            rows = await ledger.lock_rows(tx, release_id, batch.partition, hubs, wait=not has_commands(outgoing))
            outgoing += await self._take_in(tx, release_id, rows, items, now, first=number == 0)
        return Outcome(outgoing)

    async def _take_in(
        self,
        tx: Tx,
        release_id: ReleaseId,
        rows: dict[HubId, Row],
        items: Sequence[ResponseItem],
        now: Now,
        *,
        first: bool,
    ) -> list[Outgoing]:
        """Take in the answers of one release; `first`: no counts of another were written in this transaction."""
        rollout = await releases.read_rollout(tx, self.pacing, release_id)
        at = now()
        facts: dict[HubId, Facts] = {hub: row.facts for hub, row in rows.items()}
        anomalies: list[tuple[HubId, hear.Anomaly | None]] = []
        for item in items:
            if item.hub not in facts:
                anomalies.append((item.hub, hear.Anomaly("response_of_unknown_hub", item.kind)))
                continue
            facts[item.hub], anomaly = learn(facts[item.hub], item, rollout, self.pacing.max_skew)
            anomalies.append((item.hub, anomaly))
        await releases.note_anomalies(tx, release_id, anomalies, at)
        if rollout is None:
            return []
        again = call_back_again(facts, rollout, at)
        delivered, armed = arm_at_once(facts, items, rollout, at)
        decided = await give_counters(tx, facts, again + armed, at, wait=first)
        outgoing = await write_back(tx, rollout, [(row, facts[hub]) for hub, row in rows.items()], at, delivered)
        return commands(rollout, decided, at) + outgoing


def learn(facts: Facts, item: ResponseItem, rollout: Rollout | None, skew: timedelta) -> hear.Learnt:
    """What a row learns from one answer. `skew`: how far the clock of who answers may be behind ours."""
    kind, at, counter = item.kind, item.at, item.counter
    match kind:
        case ResponseKind.DELIVERED:
            return hear.delivered(facts, at, skew=skew)
        case ResponseKind.DELIVERY_FAILED:
            return hear.delivery_failed(facts, at, item.reason, skew=skew)
        case ResponseKind.DISTRIBUTION_REFUSED:
            return hear.distribution_refused(facts, at, item.epoch, item.reason)
        case ResponseKind.ACTIVATION_ACCEPTED:
            return hear.armed(facts, counter, at)
        case ResponseKind.ACTIVATION_REFUSED:
            return hear.activation_refused(facts, counter, at, item.reason)
        case ResponseKind.COMMAND_REFUSED:
            return hear.command_refused(facts, counter, at, item.reason)
        case ResponseKind.CANCEL_ACCEPTED:
            return hear.cancelled(facts, counter, at)
        case ResponseKind.CANCEL_TOO_LATE:
            return hear.cancel_too_late(facts, counter, at)
        case ResponseKind.VERSION_READ:
            runs_new = rollout is not None and item.firmware == rollout.image.firmware
            return hear.version_read(facts, counter, at, new_firmware=runs_new)


def arm_at_once(
    facts: dict[HubId, Facts], items: Sequence[ResponseItem], rollout: Rollout, now: Instant
) -> tuple[dict[HubId, Shown], list[Commanded]]:
    """Hubs that have just got the image and are due are armed here: a claim like any other, as the release is shared.

    Otherwise every such row would be written only to be read, locked and written again by the next claim. Gives how
    these hubs stood in between, and what is to be sent.
    """
    between, armed = {}, []
    for hub in sorted({item.hub for item in items if item.kind is ResponseKind.DELIVERED} & facts.keys()):
        shown = show(facts[hub], rollout)
        claimed, action = claim_if_due(facts[hub], shown, rollout, now)
        if action is not None:
            between[hub], facts[hub] = shown, claimed
            armed.append(Commanded(claimed.part, hub, action))
    return between, armed


def call_back_again(facts: dict[HubId, Facts], rollout: Rollout, now: Instant) -> list[Commanded]:
    """A CS06 may fire, must not, and is not called back: an edge withheld it, or refused the cancel, or the hub has it
    although we thought it refused, or it has departed or is superseded. It is called back (again)."""
    again = []
    for hub in sorted(facts):
        facts[hub], action = call_back(facts[hub], rollout, now)
        if action is not None:
            again.append(Commanded(facts[hub].part, hub, action))
    return again
