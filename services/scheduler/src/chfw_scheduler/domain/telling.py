"""What the Parties of a hub see of it, which of them have news, and what they are told only when the day is over.

A Supplier may learn what follows for its hub from what another one says, but not at what time of day the other spoke,
nor that it said something without effect (docs/isolation.md). So a change that another Party may have caused is
withheld until midnight (UTC): until then both see the hub as it was, and nothing is begun with it.
"""

from functools import lru_cache
from typing import Final

from chfw_common.kernel.coarse import day_after
from chfw_common.kernel.hubs import Responsibility
from chfw_common.kernel.ids import PartyId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import AnswerKind, HubState
from chfw_scheduler.domain.facts import Facts, Row, Shown, Withheld, Word
from chfw_scheduler.domain.merge import Answer, Plan
from chfw_scheduler.domain.rollout import Pacing

VISIBLE: Final = 7
"""So many fields of what is shown are for others to see; behind them stands when to look again."""
_PATIENT = frozenset(
    {
        HubState.ELIGIBLE,
        HubState.AWAITING_CONSENT,
        HubState.SCHEDULED,
        HubState.DISTRIBUTING,
        HubState.DELIVERED,
        HubState.DELIVERY_FAILED,
    }
)
"""Where a hub waits for its time: a day makes no difference to it."""


def word(facts: Facts, shown: Shown, agreed: Plan) -> Word:
    """All that any Party may see of a hub: each sees its part of it."""
    return Word(*shown[:VISIBLE], _said(facts.inventory.responsible, agreed.counting), agreed.lapsed)


def seen(facts: Facts, shown: Shown, agreed: Plan) -> Word:
    """The same as the Parties see it at present."""
    withheld = facts.consent.withheld
    return word(facts, shown, agreed) if withheld is None else withheld.word


def spoken(before: Facts, after: Facts) -> bool:
    """Whether a Party has said something, or another one answers for the hub."""
    return (
        before.consent.answers != after.consent.answers or before.inventory.responsible != after.inventory.responsible
    )


@lru_cache(maxsize=8_192)
def news(before: Word | None, after: Word) -> tuple[PartyId, ...]:
    """Who sees something else than before, sorted. Kept, since the hubs of a request share it."""
    parties = sorted({*(party for party, _ in after.answers), *after.lapsed})
    return tuple(party for party in parties if before is None or _seen_by(party, before) != _seen_by(party, after))


def withhold(row: Row, facts: Facts, before: Word, after: Word, *, pacing: Pacing, at: Instant) -> Withheld | None:
    """What the Parties go on seeing until the day is over, if anything. `before` is what they see, `after` what holds.

    Only what another Party may have caused is withheld, so not where one Party answers for the hub. What the hub does
    itself is told at once, with all that was withheld. What comes so soon that the day would make it late is not
    withheld. A second word changes nothing about when it is told: nobody can keep another waiting.
    """
    if after == before or after.state not in _PATIENT or _moved(row.facts, facts):
        return None
    known = facts.consent.withheld
    if known is not None:
        return known
    several = len({one.party for one in facts.inventory.responsible}) > 1
    if not several or before.state not in _PATIENT or not spoken(row.facts, facts):
        return None
    heard = [answer.received_at for answer in facts.consent.answers if answer not in row.facts.consent.answers]
    until = day_after(max(heard, default=at))
    soonest = min((one.activate_at for one in (before, after) if one.activate_at is not None), default=None)
    presses = soonest is not None and soonest < until + pacing.arming_window
    return None if until <= at or presses else Withheld(before, *_instructed(row.facts, before), until)


def _moved(before: Facts, after: Facts) -> bool:
    return (before.delivery, before.arming, before.silence) != (after.delivery, after.arming, after.silence)


def _seen_by(party: PartyId, word: Word) -> tuple[object, ...] | None:
    """What the notifier's view is made of; None: nothing at all."""
    said = dict(word.answers)
    if party not in said:
        return ("lapsed",) if party in word.lapsed else None
    others = any(_instructs(kind) for other, kind in said.items() if other != party)
    return (word[:VISIBLE], said[party], party in word.lapsed, len(said) > 1, others)


def _instructed(facts: Facts, word: Word) -> tuple[bool, bool]:
    """Whether the Parties in the two roles have instructed."""
    said = dict(word.answers)
    holds = {one.role: _instructs(said.get(one.party)) for one in facts.inventory.responsible}
    return holds.get(Role.IMPORT_SUPPLIER, False), holds.get(Role.GAS_SUPPLIER, False)


def _instructs(kind: AnswerKind | None) -> bool:
    return kind is AnswerKind.INSTRUCT or kind is AnswerKind.AGREE


@lru_cache(maxsize=8_192)
def _said(
    responsible: tuple[Responsibility, ...], counting: tuple[Answer, ...]
) -> tuple[tuple[PartyId, AnswerKind | None], ...]:
    """What each responsible Party has answered. Kept, since the hubs of a request share it."""
    said: dict[PartyId, AnswerKind | None] = dict.fromkeys(sorted({one.party for one in responsible}))
    return tuple((said | {answer.party: answer.kind for answer in counting}).items())
