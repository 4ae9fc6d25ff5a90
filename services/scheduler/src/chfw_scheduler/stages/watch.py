"""Time becomes a fact: a wait is over, D comes near, a hub has said nothing for too long."""

from dataclasses import dataclass

from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.dues import PartDue, earliest, parts_due
from chfw_common.runtime.service import Tick, TickResult, Tx
from chfw_common.topology import CHUNK, HUB_PARTITIONS
from chfw_scheduler.domain.act import pass_time
from chfw_scheduler.domain.rollout import Pacing
from chfw_scheduler.domain.state import show
from chfw_scheduler.stages.command import Commanded, commands
from chfw_scheduler.stages.progress import write_back
from chfw_scheduler.store import ledger, releases


@dataclass(frozen=True, slots=True)
class Watch:
    """The tick. It runs whatever the decision: facts of time do not wait for anyone."""

    pacing: Pacing

    async def run(self, tx: Tx, now: Instant) -> TickResult:
        """Write down what time has made of at most 500 hubs of one release.

        The release is shared as for a claim: a read is a command, and none is older than the decision in force (I6).
        """
        found = await self._earliest(tx)
        if found is None or found[0][0].at > now:
            return TickResult()
        dues, release_id = found
        await releases.share_release(tx, release_id)
        rollout = await releases.read_rollout(tx, self.pacing, release_id)
        if rollout is None:
            raise LookupError(f"ledger rows of an unknown release: {release_id}")
        parts = parts_due(dues, now)
        rows = await ledger.lock_checkable(tx, release_id, parts, now, limit=CHUNK)
        changed = []
        decided = []
        for row in rows:
            shown = show(row.facts, rollout)
            due_still = shown.check_at is not None and shown.check_at <= now
            facts, action = pass_time(row.facts, shown.state, rollout, now) if due_still else (row.facts, None)
            changed.append((row, facts))
            if action is not None:
                decided.append(Commanded(facts.part, facts.hub, action))
        outgoing = await write_back(tx, rollout, changed)
        return TickResult([*commands(rollout, decided, now), *outgoing], more=bool(rows))

    async def next_due(self, tx: Tx, now: Instant) -> Instant | None:  # noqa: ARG002 - the shape of a tick
        """When time next becomes a fact."""
        found = await self._earliest(tx)
        return None if found is None else earliest(found[0])

    def tick(self) -> Tick:
        """The tick of this stage."""
        return Tick("watch", self.run, self.next_due)

    async def _earliest(self, tx: Tx) -> tuple[list[PartDue], ReleaseId] | None:
        """When the partitions of the release that is due first are due, the earliest first."""
        found = []
        for rollout in await releases.read_rollouts(tx, self.pacing):
            dues = await ledger.checks_due(tx, rollout.release_id, HUB_PARTITIONS)
            if dues:
                found.append((dues, rollout.release_id))
        return min(found, key=lambda due: (due[0][0], due[1]), default=None)
