"""Learn of releases, and of what the scheduler reports about decisions."""

from chfw_common.events.release import ReleaseNotified
from chfw_common.events.rollout_progress import RolloutProgressed
from chfw_common.runtime.service import Batch, Now, Outcome, Tx
from chfw_governance.store import releases


async def handle_notice(tx: Tx, batch: Batch[ReleaseNotified], now: Now) -> Outcome:  # noqa: ARG001
    """Open each release at epoch 0, held."""
    for notice in batch.events:
        await releases.open_release(tx, notice)
    return Outcome()


async def handle_progress(tx: Tx, batch: Batch[RolloutProgressed], now: Now) -> Outcome:  # noqa: ARG001
    """Follow each decision from requested to effective."""
    for progress in batch.events:
        await releases.report(tx, progress)
    return Outcome()
