"""Instructions meet: each Party's newest answer into its slot, and the consent table applied again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chfw_common.events.instruction import InstructionReceived
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.published import smi
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.service import Batch, JobKind, JobStep, Now, Outcome, Outgoing, Tx
from chfw_scheduler.domain.facts import UNRECORDED, Facts, Row, recorded
from chfw_scheduler.domain.hear import Anomaly, is_news, party_says, takes_no_answer
from chfw_scheduler.domain.merge import Answer
from chfw_scheduler.domain.rollout import Pacing, Rollout
from chfw_scheduler.stages.announce import MERGE_WAITING, open_rows
from chfw_scheduler.stages.progress import as_seen, progressed, write_back
from chfw_scheduler.store import enrolment, ledger, releases, waiting


@dataclass(frozen=True, slots=True)
class Merge:
    """The stage behind the Faust source."""

    pacing: Pacing

    async def handle(self, tx: Tx, batch: Batch[InstructionReceived], now: Now) -> Outcome:
        """Merge the answers of a batch, release by release; order and repeats do not matter (I3)."""
        outgoing: list[Outgoing] = []
        by_release: dict[ReleaseId, list[InstructionReceived]] = {}
        for event in batch.events:
            by_release.setdefault(event.release_id, []).append(event)
        for release_id, events in sorted(by_release.items()):
            outgoing += await self._merge(tx, release_id, batch.partition, events, now)
        return Outcome(outgoing)

    async def _keep_unless_known(
        self, tx: Tx, release_id: ReleaseId, part: int, events: Sequence[InstructionReceived]
    ) -> Rollout | None:
        """Keep the instructions of a release whose notice has not come: the rest of the partition goes on, and the
        notice starts a job that merges them. Gives the release when its notice has come meanwhile.

        Under the shared lock of the release no notice is stored, so none can miss what is kept here. Raises
        TransientError while one is being stored (rows may be locked already, so nobody waits here).
        """
        if not await releases.try_share_release(tx, release_id):
            raise TransientError(f"the notice of {release_id} is being stored")
        known = await releases.read_rollout(tx, self.pacing, release_id)
        if known is None:
            await waiting.keep(tx, release_id, part, events, machine_now())
        return known

    async def step(self, tx: Tx, args: dict[str, Any], cursor: dict[str, Any], now: Now) -> JobStep:  # noqa: ARG002
        """Merge the next instruction that waited for the notice."""
        release_id = ReleaseId(args["release_id"])
        taken = await waiting.take(tx, release_id)
        if taken is None:
            return JobStep(None)
        part, event = taken
        return JobStep({}, await self._merge(tx, release_id, part, [event], now))

    def job(self) -> JobKind:
        """The job that a notice starts."""
        return JobKind(MERGE_WAITING, self.step)

    async def _merge(
        self, tx: Tx, release_id: ReleaseId, part: int, events: Sequence[InstructionReceived], now: Now
    ) -> list[Outgoing]:
        wanted = sorted({hub for event in events for hub in event.hubs})
        rows = await ledger.lock_rows(tx, release_id, part, wanted)
        rollout = await releases.read_rollout(tx, self.pacing, release_id)
        if rollout is None:
            rollout = await self._keep_unless_known(tx, release_id, part, events)
            if rollout is None:
                return []
        at = now()
        outgoing: list[Outgoing] = []
        missing = [hub for hub in wanted if hub not in rows]
        if missing:
            rollout = await _hold_enrolment(tx, rollout, part)
            outgoing += await _enrol_missing(tx, rollout, part, missing)
            rows |= await ledger.lock_rows(tx, release_id, part, missing, wait=False)
        facts: dict[HubId, Facts] = {hub: row.facts for hub, row in rows.items()}
        anomalies: list[tuple[HubId, Anomaly | None]] = [
            (hub, Anomaly("instruction_for_unknown_hub", ""))
            for hub in missing
            if rows[hub].facts.inventory == UNRECORDED
        ]
        for event in events:
            answer = _answer(event)
            late = await _too_late(tx, rollout, {hub: rows[hub] for hub in event.hubs}, facts, answer)
            for hub in event.hubs:
                if hub not in late:
                    facts[hub], anomaly = party_says(facts[hub], answer)
                    anomalies.append((hub, anomaly))
            new = await releases.note_late_answers(tx, release_id, late, answer, event.request_id, at)
            told = [as_seen(rows[hub], shown, rollout) for hub in new if (shown := rows[hub].shown)]
            outgoing += progressed(rollout, told, too_late=answer.party)
        await releases.note_anomalies(tx, release_id, anomalies, at)
        outgoing += await write_back(tx, rollout, [(row, facts[hub]) for hub, row in rows.items()], at)
        return outgoing


def _answer(event: InstructionReceived) -> Answer:
    return Answer(event.party, event.party_seq, event.kind, event.group, event.received_at, event.activate_at)


async def _hold_enrolment(tx: Tx, rollout: Rollout, part: int) -> Rollout:
    """Keep records of the inventory and decisions out from now on; gives the release as it is. Raises TransientError
    while one is being taken in: rows are locked already, so nobody waits here."""
    if not await enrolment.try_share(tx, part):
        raise TransientError(f"records of the inventory are being taken in for partition {part}")
    return await releases.share_at_once(tx, rollout)


async def _enrol_missing(tx: Tx, rollout: Rollout, part: int, hubs: Sequence[HubId]) -> list[Outgoing]:
    """Enrol hubs that have no row yet as the register shows them, or as unrecorded.

    Their entries were accepted, so they are kept (I1), also where the image does not fit at this instant: the answer
    waits in the row until it does.
    """
    found = await smi.lookup(tx, hubs)
    rows = [Facts(hub, part, recorded(found[hub]) if hub in found else UNRECORDED) for hub in hubs]
    return await open_rows(tx, rollout, rows)


async def _too_late(
    tx: Tx, rollout: Rollout, rows: dict[HubId, Row], facts: dict[HubId, Facts], answer: Answer
) -> list[HubId]:
    """The hubs for which the answer is news that changes nothing: armed or final now, or when it first came."""
    late, armed_before = [], []
    for hub, row in rows.items():
        if is_news(facts[hub], answer):
            if row.shown is not None and takes_no_answer(row.facts, row.shown.state):
                late.append(hub)
            elif row.facts.arming.counter > 0:
                armed_before.append(hub)
    return sorted([*late, *await releases.late_before(tx, rollout.release_id, armed_before, answer)])
