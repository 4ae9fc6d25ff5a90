"""What is due is claimed: the image handed over, the hub armed, under the decision in force (I5, I6)."""

from dataclasses import dataclass

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import Tick, TickResult, Tx
from chfw_common.topology import CHUNK, HUB_PARTITIONS
from chfw_scheduler.domain.act import Action, claim
from chfw_scheduler.domain.facts import Facts
from chfw_scheduler.domain.rollout import Pacing, Rollout
from chfw_scheduler.domain.state import show
from chfw_scheduler.stages.command import Commanded, commands
from chfw_scheduler.stages.progress import write_back
from chfw_scheduler.store import ledger, releases


@dataclass(frozen=True, slots=True)
class Claim:
    """The tick."""

    pacing: Pacing

    async def run(self, tx: Tx, now: Instant) -> TickResult:
        """Claim at most 500 hubs of one partition of one release.

        The shared lock comes before the decision is read: a decision stored since is seen, one to come waits.
        """
        due = await self._earliest(tx, now)
        if due is None or due[0] > now:
            return TickResult()
        _, release_id, part = due
        await releases.share_release(tx, release_id.release_id)
        rollout = await releases.read_rollout(tx, self.pacing, release_id.release_id)
        if rollout is None or not rollout.may_claim:
            return TickResult(more=True)
        rows = await ledger.lock_claimable(
            tx, rollout.release_id, part, now, pilot_only=rollout.pilot_only, limit=CHUNK
        )
        changed = []
        decided = []
        for row in rows:
            facts, action = _claim(row.facts, rollout, now)
            changed.append((row, facts))
            if action is not None:
                decided.append(Commanded(facts.part, facts.hub, action))
        outgoing = await write_back(tx, rollout, part, changed)
        return TickResult([*commands(rollout, decided, now), *outgoing], more=bool(rows))

    async def next_due(self, tx: Tx, now: Instant) -> Instant | None:
        """When the next hub may be claimed under the decisions in force."""
        due = await self._earliest(tx, now)
        return None if due is None else due[0]

    def tick(self) -> Tick:
        """The tick of this stage."""
        return Tick("claim", self.run, self.next_due)

    async def _earliest(self, tx: Tx, now: Instant) -> tuple[Instant, Rollout, int] | None:  # noqa: ARG002
        found = []
        for rollout in await releases.read_rollouts(tx, self.pacing):
            if rollout.may_claim:
                due = await ledger.earliest_claim(tx, rollout.release_id, HUB_PARTITIONS, pilot_only=rollout.pilot_only)
                if due is not None:
                    found.append((due[0], rollout, due[1]))
        return min(found, key=lambda entry: (entry[0], entry[1].release_id, entry[2]), default=None)


def _claim(facts: Facts, rollout: Rollout, now: Instant) -> tuple[Facts, Action | None]:
    """Claim if the row is still due under the decision in force: the index may be that of an earlier one (I5)."""
    shown = show(facts, rollout)
    if shown.claim_at is None or shown.claim_at > now or (rollout.pilot_only and not shown.pilot):
        return facts, None
    return claim(facts, shown.state, rollout, now)
