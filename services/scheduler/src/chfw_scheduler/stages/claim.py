"""What is due is claimed: the image handed over, the hub armed, under the decision in force (I5, I6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.dues import PartDue, earliest, parts_due
from chfw_common.runtime.service import Now, Outgoing, Pieces, Taken, Tick, Tx, Work, due_tick
from chfw_common.topology import HUB_PARTITIONS
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

    async def take(self, tx: Tx, now: Now, limit: int) -> Taken | None:
        """Claim hubs of one release, from the partition on in which one is due first.

        The shared lock comes before the decision and the time are read: a decision stored since is seen, one to come
        waits, and a permit runs from an instant at which the lock was held.
        """
        found = await self._earliest(tx)
        if found is None or found.dues[0].at > now():
            return None
        release_id = found.rollout.release_id
        await releases.share_release(tx, release_id)
        rollout = await releases.read_rollout(tx, self.pacing, release_id)
        if rollout is None or not rollout.may_claim:
            return Taken((), _nothing, more=True)
        at = now()
        parts = parts_due(found.dues, at)
        rows = await ledger.lock_claimable(tx, release_id, parts, at, pilot_only=rollout.pilot_only, limit=limit)

        def decide(facts: Facts) -> tuple[Facts, Action | None]:
            return claim_if_due(facts, show(facts, rollout), rollout, at)

        async def act() -> Sequence[Outgoing]:
            return await carry_out(tx, rollout, rows, decide, at)

        return Taken(ledger.named(release_id, rows), act, more=bool(rows))

    async def put_off(self, tx: Tx, work: Work, until: Instant) -> None:
        """Claim a hub at another time."""
        await ledger.put_off(tx, "put_off_claim", work, until)

    async def next_due(self, tx: Tx, now: Instant) -> Instant | None:  # noqa: ARG002 - the shape of a tick
        """When the next hub may be claimed under the decisions in force."""
        found = await self._earliest(tx)
        return None if found is None else earliest(found.dues)

    def tick(self) -> Tick:
        """The tick of this stage."""
        return due_tick("claim", Pieces(self.take, self.put_off), self.next_due)

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


async def _nothing() -> Sequence[Outgoing]:
    return ()
