"""What is due is claimed: the image handed over, the hub armed, under the decision in force (I5, I6)."""

from dataclasses import dataclass
from typing import NamedTuple

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.dues import PartDue, earliest, parts_due
from chfw_common.runtime.service import Now, Tick, TickResult, Tx
from chfw_common.topology import CHUNK, HUB_PARTITIONS
from chfw_scheduler.domain.act import Action, claim_if_due
from chfw_scheduler.domain.facts import Facts
from chfw_scheduler.domain.rollout import Pacing, Rollout
from chfw_scheduler.domain.state import show
from chfw_scheduler.stages.command import carry_out
from chfw_scheduler.store import ledger, releases


class Due(NamedTuple):
    """A release, and when its partitions next have something to do, the earliest first."""

    dues: list[PartDue]
    rollout: Rollout


@dataclass(frozen=True, slots=True)
class Claim:
    """The tick."""

    pacing: Pacing

    async def run(self, tx: Tx, now: Now) -> TickResult:
        """Claim at most 500 hubs of one release, from the partition on in which one is due first.

        The shared lock comes before the decision and the time are read: a decision stored since is seen, one to come
        waits, and a permit runs from an instant at which the lock was held.
        """
        found = await self._earliest(tx)
        if found is None or found.dues[0].at > now():
            return TickResult()
        release_id = found.rollout.release_id
        await releases.share_release(tx, release_id)
        rollout = await releases.read_rollout(tx, self.pacing, release_id)
        if rollout is None or not rollout.may_claim:
            return TickResult(more=True)
        at = now()
        parts = parts_due(found.dues, at)
        rows = await ledger.lock_claimable(tx, release_id, parts, at, pilot_only=rollout.pilot_only, limit=CHUNK)

        def decide(facts: Facts) -> tuple[Facts, Action | None]:
            return claim_if_due(facts, show(facts, rollout), rollout, at)

        return TickResult(await carry_out(tx, rollout, rows, decide, at), more=bool(rows))

    async def next_due(self, tx: Tx, now: Instant) -> Instant | None:  # noqa: ARG002 - the shape of a tick
        """When the next hub may be claimed under the decisions in force."""
        found = await self._earliest(tx)
        return None if found is None else earliest(found.dues)

    def tick(self) -> Tick:
        """The tick of this stage."""
        return Tick("claim", self.run, self.next_due)

    async def _earliest(self, tx: Tx) -> Due | None:
        """The release in which a claim is due first, and when, partition by partition."""
        found = []
        for rollout in await releases.read_rollouts(tx, self.pacing):
            if rollout.may_claim:
                pilot_only = rollout.pilot_only
                dues = await ledger.claims_due(tx, rollout.release_id, HUB_PARTITIONS, pilot_only=pilot_only)
                if dues:
                    found.append(Due(dues, rollout))
        return min(found, key=lambda due: (due.dues[0], due.rollout.release_id), default=None)
