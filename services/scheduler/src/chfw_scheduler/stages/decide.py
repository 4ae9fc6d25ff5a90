"""A decision takes hold: stored under the exclusive lock, armed hubs called back, the edges' fences awaited."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from chfw_common.events.decision import RolloutDecision
from chfw_common.events.fenced import RolloutFenced
from chfw_common.events.rollout_progress import ProgressKind, RolloutProgressed
from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import HALTS
from chfw_common.runtime.jobs import start_job
from chfw_common.runtime.service import (
    Batch,
    JobKind,
    JobStep,
    Outcome,
    Outgoing,
    Tick,
    TickResult,
    Tx,
    release_event,
)
from chfw_common.topology import CHUNK, ROLLOUT_PROGRESSED
from chfw_scheduler.domain.act import cancel
from chfw_scheduler.domain.facts import Facts, Row
from chfw_scheduler.domain.rollout import Pacing
from chfw_scheduler.stages.command import Commanded, commands
from chfw_scheduler.stages.progress import write_back
from chfw_scheduler.store import ledger, releases

CALL_BACK = "call_back"
REDATE = "redate"


@dataclass(frozen=True, slots=True)
class Decide:
    """The stage: decisions, acknowledgements of the edges, and the jobs that follow a decision."""

    pacing: Pacing
    edges: tuple[str, ...]
    max_skew: timedelta

    async def handle(self, tx: Tx, batch: Batch[RolloutDecision], now: Instant) -> Outcome:
        """Store decisions; from the commit on, no claim can be of an older epoch (I6)."""
        outgoing: list[Outgoing] = []
        for decision in sorted(batch.events, key=lambda d: (d.release_id, d.epoch)):
            outgoing += await self._store(tx, decision, now)
        return Outcome(outgoing)

    async def _store(self, tx: Tx, decision: RolloutDecision, now: Instant) -> list[Outgoing]:
        release_id = decision.release_id
        await releases.own_release(tx, release_id)
        before = await releases.read_decision(tx, release_id)
        if not await releases.upsert_decision(tx, decision):
            return []
        known = await releases.read_rollout(tx, self.pacing, release_id)
        job = {"release_id": release_id, "epoch": decision.epoch}
        if before is None or before["automatic_date"] != decision.automatic_date:
            await start_job(tx, REDATE, f"{release_id}:{decision.epoch}", job, now)
        if decision.min_epoch != decision.epoch or known is None:
            return []
        await tx.execute(
            releases.SQL["begin_fencing"], release_id, decision.epoch, now + self.pacing.permit_ttl + self.max_skew
        )
        await start_job(tx, CALL_BACK, f"{release_id}:{decision.epoch}", job, now)
        return [await _milestone(tx, release_id, ProgressKind.FENCING, decision.epoch, now)]

    async def fenced(self, tx: Tx, batch: Batch[RolloutFenced], now: Instant) -> Outcome:
        """Note what the edges obey; when all do, the decision that waits for them is effective."""
        outgoing: list[Outgoing] = []
        for event in batch.events:
            await tx.execute(releases.SQL["upsert_fence"], event.release_id, event.edge, event.min_epoch)
        for release_id in sorted({event.release_id for event in batch.events}):
            decision = await releases.read_decision(tx, release_id)
            if decision is None or decision["fencing_epoch"] is None:
                continue
            obeying = await tx.fetchval(
                releases.SQL["count_fenced"], release_id, list(self.edges), decision["fencing_epoch"]
            )
            if obeying == len(self.edges):
                outgoing += await _make_effective(tx, release_id, now)
        return Outcome(outgoing)

    async def call_back(self, tx: Tx, args: dict[str, Any], cursor: dict[str, Any], now: Instant) -> JobStep:
        """Cancel the next 500 hubs whose CS06 is in force, unless a later decision let the release go on."""
        release_id = ReleaseId(args["release_id"])
        rollout = await releases.read_rollout(tx, self.pacing, release_id)
        if rollout is None or (rollout.decision.mode not in HALTS and rollout.decision.min_epoch > args["epoch"]):
            return JobStep(None)
        rows = await ledger.lock_after(tx, release_id, _after(cursor), in_force=True, limit=CHUNK)
        changed: dict[int, list[tuple[Row, Facts]]] = {}
        decided = []
        for row in rows:
            facts, action = cancel(row.facts, rollout.decision.mode, now)
            changed.setdefault(facts.part, []).append((row, facts))
            if action is not None:
                decided.append(Commanded(facts.part, facts.hub, action))
        outgoing = commands(rollout, decided, now)
        for part, entries in sorted(changed.items()):
            outgoing += await write_back(tx, rollout, part, entries, now)
        return JobStep(_cursor(rows, CHUNK), outgoing)

    async def redate(self, tx: Tx, args: dict[str, Any], cursor: dict[str, Any], now: Instant) -> JobStep:
        """Derive the next rows anew: D has changed."""
        rollout = await releases.read_rollout(tx, self.pacing, ReleaseId(args["release_id"]))
        if rollout is None:
            return JobStep(None)
        rows = await ledger.lock_after(tx, rollout.release_id, _after(cursor), in_force=False, limit=CHUNK)
        by_part: dict[int, list[tuple[Row, Facts]]] = {}
        for row in rows:
            by_part.setdefault(row.facts.part, []).append((row, row.facts))
        outgoing: list[Outgoing] = []
        for part, entries in sorted(by_part.items()):
            outgoing += await write_back(tx, rollout, part, entries, now)
        return JobStep(_cursor(rows, CHUNK), outgoing)

    async def expire(self, tx: Tx, now: Instant) -> TickResult:
        """An edge did not acknowledge, but every permit has run out: the decision is effective all the same."""
        row = await tx.fetchrow(releases.SQL["earliest_effective_by"])
        if row is None or row["effective_by"] > now:
            return TickResult()
        return TickResult(await _make_effective(tx, row["release_id"], now), more=True)

    async def expires_at(self, tx: Tx, now: Instant) -> Instant | None:  # noqa: ARG002 - the shape of a tick
        """When the permits of the release that waits longest have run out."""
        row = await tx.fetchrow(releases.SQL["earliest_effective_by"])
        return None if row is None else row["effective_by"]

    def tick(self) -> Tick:
        """The tick of this stage."""
        return Tick("effective", self.expire, self.expires_at)

    def urgent(self) -> JobKind:
        """The job that calls armed hubs back: it waits behind no other."""
        return JobKind(CALL_BACK, self.call_back)

    def patient(self) -> JobKind:
        """The job that derives rows anew."""
        return JobKind(REDATE, self.redate)


async def _make_effective(tx: Tx, release_id: ReleaseId, now: Instant) -> list[Outgoing]:
    decision = await releases.read_decision(tx, release_id)
    await tx.execute(releases.SQL["make_effective"], release_id, now)
    return [await _milestone(tx, release_id, ProgressKind.EFFECTIVE, decision["fencing_epoch"], now)]


async def _milestone(tx: Tx, release_id: ReleaseId, kind: ProgressKind, epoch: int, now: Instant) -> Outgoing:
    totals, at_risk = await ledger.totals(tx, release_id)
    event = RolloutProgressed(release_id=release_id, kind=kind, epoch=epoch, at=now, totals=totals, at_risk=at_risk)
    return release_event(ROLLOUT_PROGRESSED, release_id, event)


def _after(cursor: dict[str, Any]) -> tuple[int, int] | None:
    return (cursor["part"], cursor["hub"]) if cursor else None


def _cursor(rows: list[Row], limit: int) -> dict[str, Any] | None:
    if len(rows) < limit:
        return None
    return {"part": rows[-1].facts.part, "hub": rows[-1].facts.hub}
