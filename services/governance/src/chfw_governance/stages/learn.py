"""Learn of releases, and of what the scheduler reports about decisions."""

from operator import attrgetter

from chfw_common.events.release import ReleaseNotified
from chfw_common.events.rollout_progress import RolloutProgressed
from chfw_common.kernel.ids import UserId
from chfw_common.runtime.service import Batch, Now, Outcome, Outgoing, Tx
from chfw_governance.domain.decide import hold_for_cpl
from chfw_governance.stages.decide import published
from chfw_governance.store import releases

BY_CPL = UserId("CPL")
"""Who a hold because of the CPL is decided by."""


async def handle_notice(tx: Tx, batch: Batch[ReleaseNotified], now: Now) -> Outcome:
    """Open each release at epoch 0, held. One whose CPL entry is not Active any more is held by a decision in the
    release's line of epochs, under the same lock as any other (I11)."""
    outgoing: list[Outgoing] = []
    for notice in sorted(batch.events, key=attrgetter("release_id")):
        await releases.open_release(tx, notice)
        standing = await releases.lock_standing(tx, notice.release_id)
        at = now()
        decided = None if standing is None else hold_for_cpl(standing, notice.cpl.state, at)
        if decided is not None:
            await releases.add_decision(tx, notice.release_id, decided, BY_CPL, at)
            outgoing.append(published(notice.release_id, decided, at))
    return Outcome(outgoing)


async def handle_progress(tx: Tx, batch: Batch[RolloutProgressed], now: Now) -> Outcome:  # noqa: ARG001
    """Follow each decision from requested to effective."""
    for progress in batch.events:
        await releases.report(tx, progress)
    return Outcome()
