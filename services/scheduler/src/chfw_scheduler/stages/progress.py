"""Writing rows back, and telling what visibly changed. Every stage ends here."""

from collections.abc import Sequence

from chfw_common.events.progressed import HubProgress, HubProgressed
from chfw_common.kernel.ids import PartyId, hub_key
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import AnswerKind
from chfw_common.runtime.service import Outgoing, Tx, hub_events
from chfw_common.topology import HUB_PROGRESSED
from chfw_scheduler.domain.facts import Facts, Row, Shown
from chfw_scheduler.domain.merge import latest
from chfw_scheduler.domain.rollout import Rollout
from chfw_scheduler.domain.state import show
from chfw_scheduler.store import ledger


async def write_back(
    tx: Tx, rollout: Rollout, part: int, changed: Sequence[tuple[Row, Facts]], now: Instant
) -> list[Outgoing]:
    """Derive, save and tell rows of one partition. A row whose facts and outcome are as they were is left alone."""
    saved = []
    told = []
    for row, facts in changed:
        shown = show(facts, rollout, now)
        if facts is row.facts and shown == row.shown:
            continue
        saved.append((row, facts, shown))
        if _visible(row.shown) != _visible(shown) or facts.consent.answers is not row.facts.consent.answers:
            told.append((facts, shown, row.version + 1))
    if saved:
        await ledger.save(tx, rollout.release_id, part, saved)
    return progressed(rollout, told)


def progressed(rollout: Rollout, rows: Sequence[tuple[Facts, Shown, int]], reason: str | None = None) -> list[Outgoing]:
    """hub.progressed for rows, in chunks of a partition; `reason` stands in for a row that has none of its own."""
    return hub_events(
        HUB_PROGRESSED,
        [(facts.part, hub_key(facts.hub), _told(facts, shown, version, reason)) for facts, shown, version in rows],
        lambda items: HubProgressed(release_id=rollout.release_id, firmware=rollout.image.firmware, items=items),
    )


def _visible(shown: Shown | None) -> tuple[object, ...] | None:
    if shown is None:
        return None
    return (shown.state, shown.reason, shown.activate_at, shown.answer_by, shown.proposed_at, shown.pilot)


def _told(facts: Facts, shown: Shown, version: int, reason: str | None) -> HubProgress:
    since = {one.party: one for one in facts.inventory.responsible}
    said: dict[PartyId, AnswerKind | None] = dict.fromkeys(sorted(since), None)
    lapsed = []
    for answer in latest(facts.consent.answers):
        if answer.party in said:
            said[answer.party] = answer.kind
        elif answer.instructs:
            lapsed.append(answer.party)
    return HubProgress.model_construct(
        hub=facts.hub,
        version=version,
        state=shown.state,
        reason=shown.reason or reason,
        activate_at=shown.activate_at,
        answer_by=shown.answer_by,
        proposed_at=shown.proposed_at,
        pilot=shown.pilot,
        answers=said,
        lapsed=tuple(lapsed),
    )
