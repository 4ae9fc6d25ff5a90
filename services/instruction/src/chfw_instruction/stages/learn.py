"""Learn what is laid down: notices and decisions, each absorbed by version or epoch."""

from chfw_common.events.decision import RolloutDecision
from chfw_common.events.release import ReleaseNotified
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import Batch, Outcome, Tx
from chfw_instruction.store import releases


async def handle_notice(tx: Tx, batch: Batch[ReleaseNotified], now: Instant) -> Outcome:  # noqa: ARG001
    """Keep the newest notice of each release."""
    for notice in batch.events:
        await releases.save_notice(tx, notice)
    return Outcome()


async def handle_decision(tx: Tx, batch: Batch[RolloutDecision], now: Instant) -> Outcome:  # noqa: ARG001
    """Keep the newest decision of each release."""
    for decision in batch.events:
        await releases.save_decision(tx, decision)
    return Outcome()
