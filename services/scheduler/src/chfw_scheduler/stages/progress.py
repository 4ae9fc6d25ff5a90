"""Writing rows back, and telling what visibly changed. Every stage ends here."""

from collections.abc import Sequence
from functools import lru_cache

from chfw_common.events.progressed import HubProgress, HubProgressed
from chfw_common.kernel.hubs import Responsibility
from chfw_common.kernel.ids import PartyId, hub_key
from chfw_common.kernel.rollout import AnswerKind
from chfw_common.runtime.service import Outgoing, Tx, hub_events
from chfw_common.topology import HUB_PROGRESSED
from chfw_scheduler.domain.facts import Facts, Row, Shown
from chfw_scheduler.domain.merge import Answer
from chfw_scheduler.domain.rollout import Rollout
from chfw_scheduler.domain.state import consented, show
from chfw_scheduler.store import ledger


async def write_back(tx: Tx, rollout: Rollout, changed: Sequence[tuple[Row, Facts]]) -> list[Outgoing]:
    """Derive, save and tell rows. A row whose facts and outcome are as they were is left alone.

    The rows were locked before the rollout was read, or the release is shared: otherwise a decision could pass by
    between the two, and its job would not see these rows again.
    """
    saved = []
    told = []
    for row, facts in changed:
        shown = show(facts, rollout)
        if facts == row.facts and shown == row.shown:
            continue
        saved.append((row, facts, shown))
        if _visible(row.shown) != _visible(shown) or _parties(facts) != _parties(row.facts):
            told.append((facts, shown, row.version + 1))
    if saved:
        await ledger.save(tx, rollout.release_id, saved)
    return progressed(rollout, told)


def progressed(
    rollout: Rollout, rows: Sequence[tuple[Facts, Shown, int]], too_late: PartyId | None = None
) -> list[Outgoing]:
    """hub.progressed for rows, in chunks of a partition; `too_late` is the Party alone that is to hear of it."""
    return hub_events(
        HUB_PROGRESSED,
        [
            (facts.part, hub_key(facts.hub), _told(facts, rollout, shown, version, too_late))
            for facts, shown, version in rows
        ],
        lambda items: HubProgressed(release_id=rollout.release_id, firmware=rollout.image.firmware, items=items),
    )


def _visible(shown: Shown | None) -> tuple[object, ...] | None:
    if shown is None:
        return None
    return (shown.state, shown.reason, shown.activate_at, shown.answer_by, shown.proposed_at, shown.pilot)


def _parties(facts: Facts) -> tuple[object, ...]:
    """Who answers for the hub and who has answered what: told even when it moves nothing."""
    return (facts.consent.answers, facts.inventory.responsible)


def _told(facts: Facts, rollout: Rollout, shown: Shown, version: int, too_late: PartyId | None) -> HubProgress:
    agreed = consented(facts, rollout)
    return HubProgress(
        hub=facts.hub,
        version=version,
        state=shown.state,
        reason=shown.reason,
        activate_at=shown.activate_at,
        answer_by=shown.answer_by,
        proposed_at=shown.proposed_at,
        pilot=shown.pilot,
        answers=_said(facts.inventory.responsible, agreed.counting),
        lapsed=agreed.lapsed,
        too_late=() if too_late is None else (too_late,),
    )


@lru_cache(maxsize=8_192)
def _said(responsible: tuple[Responsibility, ...], counting: tuple[Answer, ...]) -> dict[PartyId, AnswerKind | None]:
    """What each responsible Party has answered. Kept, since the hubs of a request share it: nobody may change it."""
    said: dict[PartyId, AnswerKind | None] = dict.fromkeys(sorted({one.party for one in responsible}))
    return said | {answer.party: answer.kind for answer in counting}
