"""Time becomes a fact: a wait is over, D comes near, a hub has said nothing for too long."""

from collections.abc import Sequence
from dataclasses import dataclass

from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.dues import PartDue, earliest, parts_due
from chfw_common.runtime.service import Now, Outgoing, Pieces, Taken, Tick, Tx, Work, due_tick
from chfw_common.topology import HUB_PARTITIONS
from chfw_scheduler.domain.act import Action, pass_time
from chfw_scheduler.domain.facts import Facts
from chfw_scheduler.domain.rollout import Pacing
from chfw_scheduler.domain.state import show
from chfw_scheduler.stages.command import carry_out
from chfw_scheduler.store import ledger, releases


@dataclass(frozen=True, slots=True)
class Watch:
    """The tick. It runs whatever the decision: facts of time do not wait for anyone."""

    pacing: Pacing

    async def take(self, tx: Tx, now: Now, limit: int) -> Taken | None:
        """Write down what time has made of hubs of one release.

        The release is shared as for a claim: a read is a command, and none is older than the decision in force (I6).
        """
        found = await self._earliest(tx)
        if found is None or found[0][0].at > now():
            return None
        dues, release_id = found
        await releases.share_release(tx, release_id)
        rollout = await releases.read_rollout(tx, self.pacing, release_id)
        if rollout is None:
            raise LookupError(f"ledger rows of an unknown release: {release_id}")
        at = now()
        parts = parts_due(dues, at)
        rows = await ledger.lock_checkable(tx, release_id, parts, at, limit=limit)

        def decide(facts: Facts) -> tuple[Facts, Action | None]:
            shown = show(facts, rollout)
            due_still = shown.check_at is not None and shown.check_at <= at
            return pass_time(facts, shown.state, rollout, at) if due_still else (facts, None)

        async def act() -> Sequence[Outgoing]:
            return await carry_out(tx, rollout, rows, decide, at)

        return Taken(ledger.named(release_id, rows), act, more=bool(rows))

    async def put_off(self, tx: Tx, work: Work, until: Instant) -> None:
        """Check a hub at another time."""
        await ledger.put_off(tx, "put_off_check", work, until)

    async def next_due(self, tx: Tx, now: Instant) -> Instant | None:  # noqa: ARG002 - the shape of a tick
        """When time next becomes a fact."""
        found = await self._earliest(tx)
        return None if found is None else earliest(found[0])

    def tick(self) -> Tick:
        """The tick of this stage."""
        return due_tick("watch", Pieces(self.take, self.put_off), self.next_due)

    async def _earliest(self, tx: Tx) -> tuple[list[PartDue], ReleaseId] | None:
        """When the partitions of the release that is due first are due, the earliest first."""
        found = []
        for rollout in await releases.read_rollouts(tx, self.pacing):
            dues = await ledger.checks_due(tx, rollout.release_id, HUB_PARTITIONS)
            if dues:
                found.append((dues, rollout.release_id))
        return min(found, key=lambda due: (due[0][0], due[1]), default=None)
