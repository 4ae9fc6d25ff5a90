"""A decision takes hold: stored under the exclusive lock, armed hubs called back, the edges' fences awaited."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from chfw_common.events.decision import RolloutDecision
from chfw_common.events.fenced import RolloutFenced
from chfw_common.events.release import ReleaseNotified
from chfw_common.events.rollout_progress import ProgressKind
from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.jobs import start_job
from chfw_common.runtime.lines import Break
from chfw_common.runtime.service import (
    Batch,
    JobKind,
    JobStep,
    Now,
    Outcome,
    Outgoing,
    Pieces,
    Taken,
    Tick,
    Tx,
    Work,
    due_tick,
)
from chfw_common.topology import CHUNK
from chfw_scheduler.domain.act import call_back
from chfw_scheduler.domain.facts import Row
from chfw_scheduler.domain.rollout import Pacing, forwarded_by
from chfw_scheduler.stages.announce import REDATE
from chfw_scheduler.stages.command import carry_out_apart
from chfw_scheduler.stages.report import milestone
from chfw_scheduler.store import ledger, releases
from chfw_scheduler.store.ledger import Place

CALL_BACK = "call_back"


@dataclass(frozen=True, slots=True)
class Decide:
    """The stage: decisions, acknowledgements of the edges, and the jobs that follow a decision."""

    pacing: Pacing
    edges: tuple[str, ...]
    max_skew: timedelta
    forward_within: timedelta

    async def handle(self, tx: Tx, batch: Batch[RolloutDecision], now: Now) -> Outcome:
        """Store decisions; from the commit on, no claim can be of an older epoch (I6)."""
        outgoing: list[Outgoing] = []
        for decision in sorted(batch.events, key=lambda d: (d.release_id, d.epoch)):
            outgoing += await self._store(tx, decision, now)
        return Outcome(outgoing)

    async def stand_still(
        self, tx: Tx, batch: Batch[RolloutDecision | ReleaseNotified], breaks: Sequence[Break], now: Now
    ) -> list[Outgoing]:
        """A decision or a notice is out of line: from the commit on nothing is claimed under the decision known, and
        what was armed under it is called back. It may be a halt, or come after one that was lost.

        It lasts as long as the record is parked (`read_rollouts`); the decision known stays as it is.
        """
        for release_id in sorted({event.release_id for event in batch.events}):
            await releases.own_release(tx, release_id)
        at = now()
        for one in breaks:
            rollout = await releases.read_rollout(tx, self.pacing, one.release_id)
            if rollout is not None:
                args = {"release_id": one.release_id, "epoch": rollout.decision.min_epoch}
                await start_job(tx, CALL_BACK, f"{one.release_id}:{one.topic}:{one.partition}:{one.offset}", args, at)
        return []

    async def _store(self, tx: Tx, decision: RolloutDecision, now: Now) -> list[Outgoing]:
        release_id = decision.release_id
        await releases.own_release(tx, release_id)
        at = now()
        before = await releases.read_decision(tx, release_id)
        known = await releases.read_rollout(tx, self.pacing, release_id)
        if not await releases.upsert_decision(tx, decision):
            return []
        dates = (decision.automatic_date, decision.waves)
        if known is not None and (known.terms.automatic_date, known.waves) != dates:
            args = {"release_id": release_id}
            await start_job(tx, REDATE, f"{release_id}:{decision.epoch}", args, at)
        if decision.min_epoch <= (0 if before is None else before["min_epoch"]):
            return []
        return await self._fence(tx, release_id, decision.min_epoch, at)

    async def _fence(self, tx: Tx, release_id: ReleaseId, halt: int, now: Instant) -> list[Outgoing]:
        """A halt is news, be it known by its own decision or by a later one that overtook it. The release itself need
        not be known yet, and edges may have been quicker than the decision."""
        effective_by = forwarded_by(now, self.pacing, self.max_skew, self.forward_within)
        await tx.execute(releases.SQL["begin_fencing"], release_id, halt, effective_by)
        await start_job(tx, CALL_BACK, f"{release_id}:{halt}", {"release_id": release_id, "epoch": halt}, now)
        fencing = await milestone(tx, release_id, ProgressKind.FENCING, halt, now)
        return [fencing, *await self._if_obeyed(tx, release_id, now)]

    async def fenced(self, tx: Tx, batch: Batch[RolloutFenced], now: Now) -> Outcome:
        """Note what the edges obey; when all do, the decision that waits for them is effective."""
        release_ids = sorted({event.release_id for event in batch.events})
        for release_id in release_ids:
            await releases.own_release(tx, release_id)
        at = now()
        for event in batch.events:
            await tx.execute(releases.SQL["upsert_fence"], event.release_id, event.edge, event.min_epoch)
        outgoing: list[Outgoing] = []
        for release_id in release_ids:
            outgoing += await self._if_obeyed(tx, release_id, at)
        return Outcome(outgoing)

    async def _if_obeyed(self, tx: Tx, release_id: ReleaseId, now: Instant) -> list[Outgoing]:
        decision = await releases.read_decision(tx, release_id)
        if decision is None or decision["fencing_epoch"] is None:
            return []
        halt = decision["fencing_epoch"]
        obeying = await tx.fetchval(releases.SQL["count_fenced"], release_id, list(self.edges), halt)
        if obeying < len(self.edges):
            return []
        halt = await tx.fetchval(releases.SQL["make_effective"], release_id, halt, now)
        return await _effective(tx, release_id, halt, now)

    async def call_back(self, tx: Tx, args: dict[str, Any], cursor: dict[str, Any], now: Now) -> JobStep:
        """Cancel the next 500 hubs whose CS06 may fire and is older than the halt, whatever was decided since: no old
        command is revived. A later halt has a job of its own, which begins anew."""
        release_id = ReleaseId(args["release_id"])
        await releases.share_release(tx, release_id)
        rollout = await releases.read_rollout(tx, self.pacing, release_id)
        if rollout is None or rollout.decision.min_epoch > args["epoch"]:
            return JobStep(None)
        rows = await ledger.lock_may_fire(tx, release_id, _after(cursor), before_epoch=args["epoch"], limit=CHUNK)
        at = now()
        outgoing = await carry_out_apart(tx, rollout, rows, lambda facts: call_back(facts, rollout, at), at)
        return JobStep(_cursor(_last(rows, CHUNK)), outgoing)

    async def redate(self, tx: Tx, args: dict[str, Any], cursor: dict[str, Any], now: Now) -> JobStep:
        """Derive the next rows anew: D, the waves, or what the image fits, have changed.

        An armed hub that the image does not fit any more is called back, so the release is shared as for a claim.
        """
        release_id = ReleaseId(args["release_id"])
        await releases.share_release(tx, release_id)
        rollout = await releases.read_rollout(tx, self.pacing, release_id)
        if rollout is None:
            return JobStep(None)
        rows, goes_on = await ledger.lock_after(tx, release_id, _after(cursor), limit=CHUNK)
        at = now()
        outgoing = await carry_out_apart(tx, rollout, rows, lambda facts: call_back(facts, rollout, at), at)
        return JobStep(_cursor(goes_on), outgoing)

    async def expire(self, tx: Tx, now: Now, limit: int) -> Taken | None:  # noqa: ARG002 - one release at a time
        """An edge did not acknowledge, but no permit can be used any more: the halt is effective all the same.

        What the look finds may be of an earlier halt by the time the lock is held, so the lock comes first, then the
        time, and one statement both checks and changes.
        """
        row = await tx.fetchrow(releases.SQL["earliest_effective_by"])
        if row is None or row["effective_by"] > now():
            return None
        release_id = row["release_id"]
        await releases.own_release(tx, release_id)
        at = now()

        async def act() -> list[Outgoing]:
            halt = await tx.fetchval(releases.SQL["expire"], release_id, at)
            return await _effective(tx, release_id, halt, at)

        return Taken([{"release_id": release_id}], act, more=True)

    async def put_off(self, tx: Tx, work: Work, until: Instant) -> None:
        """Declare the halt of a release that waits effective at another time."""
        await tx.execute(releases.SQL["put_off_effective"], work["release_id"], until)

    async def expires_at(self, tx: Tx, now: Instant) -> Instant | None:  # noqa: ARG002 - the shape of a tick
        """When the permits of the release that waits longest have run out."""
        row = await tx.fetchrow(releases.SQL["earliest_effective_by"])
        return None if row is None else row["effective_by"]

    def tick(self) -> Tick:
        """The tick of this stage."""
        return due_tick("effective", Pieces(self.expire, self.put_off), self.expires_at, limit=1, urgent=True)

    def urgent(self) -> JobKind:
        """The job that calls armed hubs back: it waits behind no other."""
        return JobKind(CALL_BACK, self.call_back)

    def patient(self) -> JobKind:
        """The job that derives rows anew."""
        return JobKind(REDATE, self.redate)


async def _effective(tx: Tx, release_id: ReleaseId, halt: int | None, now: Instant) -> list[Outgoing]:
    """Tell of a halt that has just become effective; None is none."""
    return [] if halt is None else [await milestone(tx, release_id, ProgressKind.EFFECTIVE, halt, now)]


def _after(cursor: dict[str, Any]) -> Place | None:
    return (cursor["part"], cursor["hub"]) if cursor else None


def _last(rows: list[Row], limit: int) -> Place | None:
    return None if len(rows) < limit else (rows[-1].facts.part, rows[-1].facts.hub)


def _cursor(goes_on: Place | None) -> dict[str, Any] | None:
    return None if goes_on is None else {"part": goes_on[0], "hub": goes_on[1]}
