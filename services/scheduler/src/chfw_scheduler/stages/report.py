"""Totals of a release are told: at a halt, and while they change afterwards (rollout.progressed)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from chfw_common.events.rollout_progress import ProgressKind, RolloutProgressed
from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import Now, Outgoing, Pieces, Taken, Tick, Tx, Work, due_tick, release_event
from chfw_common.topology import ROLLOUT_PROGRESSED
from chfw_scheduler.domain.totals import Pace, Totals, told_again_at
from chfw_scheduler.store import counts
from chfw_scheduler.store.counts import Standing

EVERY = timedelta(seconds=1)
"""Machine time between looks: no release is told of more often, however fast the roll-out's clock runs."""


@dataclass(frozen=True, slots=True)
class Report:
    """The tick. It looks at counts alone, and runs whatever the decision."""

    pace: Pace

    async def take(self, tx: Tx, now: Now, limit: int) -> Taken | None:
        """Take releases of which there is something to tell, in the order of their ids."""
        looked = now()
        due = [seen.release_id for seen in await counts.read(tx) if self._is_due(seen, looked)][:limit]
        if not due:
            return None
        locked = [await counts.lock(tx, release_id) for release_id in due]

        async def act() -> Sequence[Outgoing]:
            at = now()
            return [
                await _tell(tx, standing, kind_of(standing.told, standing.found), standing.min_epoch, at)
                for standing in locked
                if self._is_due(standing, at)
            ]

        return Taken([{"release_id": release_id} for release_id in due], act, more=len(due) == limit)

    async def put_off(self, tx: Tx, work: Work, until: Instant) -> None:
        """Tell of a release at another time."""
        await counts.put_off(tx, work["release_id"], until)

    async def next_due(self, tx: Tx, now: Instant) -> Instant | None:  # noqa: ARG002 - the shape of a tick
        """When totals that have changed are next told."""
        return min((due for seen in await counts.read(tx) if (due := self._due(seen)) is not None), default=None)

    def tick(self) -> Tick:
        """The tick of this stage."""
        return replace(due_tick("report", Pieces(self.take, self.put_off), self.next_due), every=EVERY)

    def _due(self, standing: Standing) -> Instant | None:
        due = told_again_at(standing.told, standing.told_at, standing.found, self.pace)
        return due if due is None or standing.put_off_until is None else max(due, standing.put_off_until)

    def _is_due(self, standing: Standing, at: Instant) -> bool:
        due = self._due(standing)
        return due is not None and due <= at


async def milestone(tx: Tx, release_id: ReleaseId, kind: ProgressKind, epoch: int, now: Instant) -> Outgoing:
    """Tell how a release stands as a decision is fencing or effective. The caller owns the release."""
    await counts.begin_telling(tx, release_id, now)
    standing = await counts.lock(tx, release_id)
    return await _tell(tx, standing, kind, epoch, max(now, standing.told_at))


async def _tell(tx: Tx, standing: Standing, kind: ProgressKind, epoch: int, now: Instant) -> Outgoing:
    release_id, found = standing.release_id, standing.found
    await counts.note_told(tx, release_id, found, now)
    event = RolloutProgressed(
        release_id=release_id, kind=kind, epoch=epoch, at=now, totals=found.hubs, at_risk=found.at_risk
    )
    return release_event(ROLLOUT_PROGRESSED, release_id, event)


def kind_of(told: Totals, found: Totals) -> ProgressKind:
    """What the totals are told for: all hubs are final, the count at risk has changed, or others have."""
    if found.all_final and not told.all_final:
        return ProgressKind.ALL_FINAL
    return ProgressKind.TOTALS if found.at_risk == told.at_risk else ProgressKind.AT_RISK
