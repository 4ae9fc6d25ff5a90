"""Learn what is laid down, and where hubs stand: notices, decisions, progress, absorbed by version or epoch."""

from chfw_common.events.decision import RolloutDecision
from chfw_common.events.progressed import HubProgressed
from chfw_common.events.release import ReleaseNotified
from chfw_common.kernel.ids import ReleaseId
from chfw_common.runtime.service import Batch, Now, Outcome, Tx
from chfw_instruction.domain.standing import Told, class_of, newest, showings
from chfw_instruction.store import releases, standings


async def handle_notice(tx: Tx, batch: Batch[ReleaseNotified], now: Now) -> Outcome:  # noqa: ARG001
    """Keep the newest notice of each release."""
    for notice in batch.events:
        await releases.save_notice(tx, notice)
    return Outcome()


async def handle_decision(tx: Tx, batch: Batch[RolloutDecision], now: Now) -> Outcome:  # noqa: ARG001
    """Keep the newest decision of each release."""
    for decision in batch.events:
        await releases.save_decision(tx, decision)
    return Outcome()


async def handle_progress(tx: Tx, batch: Batch[HubProgressed], now: Now) -> Outcome:  # noqa: ARG001
    """Keep which hubs a release holds, has armed or has finished, and which times their Parties were shown.

    What came too late is told to one Party alone; what is shown to it then, all were shown before.
    """
    told: dict[ReleaseId, list[Told]] = {}
    for event in batch.events:
        words = told.setdefault(event.release_id, [])
        for item in event.items:
            state = class_of(item.state)
            shown = showings(item.too_late or item.answers, item.proposed_at)
            words += (Told(hub, version, state, shown=shown) for hub, version in item.hubs.items())
    for release_id, words in sorted(told.items()):
        await standings.keep(tx, release_id, newest(words), batch.topic, batch.partition)
    return Outcome()
