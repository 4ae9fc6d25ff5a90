"""Writing rows back, and telling what visibly changed. Every stage ends here."""

import functools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from chfw_common.events.progressed import HubProgress, HubProgressed
from chfw_common.kernel.hubs import Responsibility
from chfw_common.kernel.ids import HubId, PartyId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import AnswerKind, HubState
from chfw_common.runtime.service import Outgoing, Tx, hub_events
from chfw_common.topology import HUB_PROGRESSED
from chfw_scheduler.domain.facts import Facts, Row, Shown
from chfw_scheduler.domain.merge import Answer, Plan
from chfw_scheduler.domain.rollout import Rollout
from chfw_scheduler.domain.state import consented, show
from chfw_scheduler.store import ledger

_NONE: Mapping[HubId, Shown] = MappingProxyType({})
_VISIBLE: Final = 7
"""So many fields of what is shown are for others to see; behind them stands when to look again."""


class _Word(NamedTuple):
    """What is told of a hub, but for the hub and its version: hubs of an event with the same word share an item."""

    state: HubState
    reason: str | None
    activate_at: Instant | None
    answer_by: Instant | None
    proposed_at: Instant | None
    pilot: bool
    wave: str | None
    answers: tuple[tuple[PartyId, AnswerKind | None], ...]
    lapsed: tuple[PartyId, ...]


class Telling(NamedTuple):
    """A hub, what is told of it, and the version of its row."""

    part: int
    hub: HubId
    version: int
    word: _Word


class Derived(NamedTuple):
    """What rows come to: those to be saved (as loaded, new facts, what they amount to), how far their versions go on,
    and what is told of them, first of how they stood in between."""

    saved: Sequence[tuple[Row, Facts, Shown]]
    steps: int
    told_before: Sequence[Telling]
    told: Sequence[Telling]


async def write_back(
    tx: Tx, rollout: Rollout, changed: Sequence[tuple[Row, Facts]], passed: Mapping[HubId, Shown] = _NONE
) -> list[Outgoing]:
    """Derive, save and tell rows (see `derive`).

    The rows were locked before the rollout was read, or the release is shared: otherwise a decision could pass by
    between the two, and its job would not see these rows again.
    """
    derived = derive(rollout, changed, passed)
    if derived.saved:
        await ledger.save(tx, rollout.release_id, derived.saved, steps=derived.steps)
    return progressed(rollout, derived.told_before) + progressed(rollout, derived.told)


def derive(rollout: Rollout, changed: Sequence[tuple[Row, Facts]], passed: Mapping[HubId, Shown] = _NONE) -> Derived:
    """What rows come to. A row whose facts and outcome are as they were is left alone.

    `passed` is how hubs stood in between, where a visit took them further than one stage: it is told first (R4-0).
    """
    saved, told, told_before = [], [], []
    steps = 2 if passed else 1
    for row, facts in changed:
        agreed = consented(facts, rollout)
        shown = show(facts, rollout, agreed)
        if facts == row.facts and shown == row.shown:
            continue
        saved.append((row, facts, shown))
        if _visible(row.shown) != _visible(shown) or _parties(facts) != _parties(row.facts):
            told.append(telling(facts, shown, agreed, row.version + steps))
        between = passed.get(facts.hub)
        if between is not None and _visible(between) != _visible(row.shown):
            told_before.append(telling(facts, between, agreed, row.version + 1))
    return Derived(saved, steps, told_before, told)


def telling(facts: Facts, shown: Shown, agreed: Plan, version: int) -> Telling:
    """What is told of a row in this state."""
    word = _Word(*shown[:_VISIBLE], _said(facts.inventory.responsible, agreed.counting), agreed.lapsed)
    return Telling(facts.part, facts.hub, version, word)


def progressed(rollout: Rollout, told: Sequence[Telling], too_late: PartyId | None = None) -> list[Outgoing]:
    """hub.progressed for rows, in chunks of a partition; `too_late` is the Party alone that is to hear of it."""
    rows = [(one.part, one.hub, one) for one in told]
    return hub_events(HUB_PROGRESSED, rows, functools.partial(_event, rollout, too_late))


def _event(rollout: Rollout, too_late: PartyId | None, told: tuple[Telling, ...]) -> HubProgressed:
    alike: dict[_Word, dict[HubId, int]] = {}
    for one in told:
        alike.setdefault(one.word, {})[one.hub] = one.version
    items = tuple(_item(word, hubs, too_late) for word, hubs in alike.items())
    return HubProgressed(release_id=rollout.release_id, firmware=rollout.image.firmware, items=items)


def _item(word: _Word, hubs: dict[HubId, int], too_late: PartyId | None) -> HubProgress:
    return HubProgress(
        hubs=hubs,
        state=word.state,
        reason=word.reason,
        activate_at=word.activate_at,
        answer_by=word.answer_by,
        proposed_at=word.proposed_at,
        pilot=word.pilot,
        wave=word.wave,
        answers=dict(word.answers),
        lapsed=word.lapsed,
        too_late=() if too_late is None else (too_late,),
    )


@functools.lru_cache(maxsize=8_192)
def _said(
    responsible: tuple[Responsibility, ...], counting: tuple[Answer, ...]
) -> tuple[tuple[PartyId, AnswerKind | None], ...]:
    """What each responsible Party has answered. Kept, since the hubs of a request share it."""
    said: dict[PartyId, AnswerKind | None] = dict.fromkeys(sorted({one.party for one in responsible}))
    return tuple((said | {answer.party: answer.kind for answer in counting}).items())


def _visible(shown: Shown | None) -> tuple[object, ...] | None:
    return None if shown is None else shown[:_VISIBLE]


def _parties(facts: Facts) -> tuple[object, ...]:
    """Who answers for the hub and who has answered what: told even when it moves nothing."""
    return (facts.consent.answers, facts.inventory.responsible)
