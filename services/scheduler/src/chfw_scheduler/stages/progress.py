"""Writing rows back, and telling what visibly changed. Every stage ends here."""

import functools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from chfw_common.events.progressed import HubProgress, HubProgressed
from chfw_common.kernel.ids import HubId, PartyId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import Outgoing, Tx, hub_events
from chfw_common.topology import HUB_PROGRESSED
from chfw_scheduler.domain.facts import Facts, Row, Shown, Word
from chfw_scheduler.domain.merge import Plan
from chfw_scheduler.domain.rollout import Rollout
from chfw_scheduler.domain.state import consented, show
from chfw_scheduler.domain.telling import VISIBLE, news, seen, withhold, word
from chfw_scheduler.store import ledger

_NONE: Mapping[HubId, Shown] = MappingProxyType({})
_Parties = tuple[PartyId, ...]


class Telling(NamedTuple):
    """A hub, what is told of it, and the version of its row. `news_for`: who hears it, None being all whom it names."""

    part: int
    hub: HubId
    version: int
    word: Word
    news_for: _Parties | None = None


class Derived(NamedTuple):
    """What rows come to: those to be saved (as loaded, new facts, what they amount to), how far their versions go on,
    and what is told of them, first of how they stood in between."""

    saved: Sequence[tuple[Row, Facts, Shown]]
    steps: int
    told_before: Sequence[Telling]
    told: Sequence[Telling]


async def write_back(
    tx: Tx, rollout: Rollout, changed: Sequence[tuple[Row, Facts]], at: Instant, passed: Mapping[HubId, Shown] = _NONE
) -> list[Outgoing]:
    """Derive, save and tell rows (see `derive`).

    The rows were locked before the rollout was read, or the release is shared: otherwise a decision could pass by
    between the two, and its job would not see these rows again.
    """
    derived = derive(rollout, changed, at, passed)
    if derived.saved:
        await ledger.save(tx, rollout.release_id, derived.saved, steps=derived.steps)
    return progressed(rollout, derived.told_before) + progressed(rollout, derived.told)


def derive(
    rollout: Rollout, changed: Sequence[tuple[Row, Facts]], at: Instant, passed: Mapping[HubId, Shown] = _NONE
) -> Derived:
    """What rows come to. A row whose facts and outcome are as they were is left alone.

    `passed` is how hubs stood in between, where a visit took them further than one stage: it is told first (R4-0).
    A Party is told only what changes in its own view, and what another Party may have caused when the day of `at` is
    over (see `withhold`).
    """
    saved, told, told_before = [], [], []
    steps = 2 if passed else 1
    for row, facts in changed:
        agreed = consented(facts, rollout)
        shown = show(facts, rollout, agreed)
        if facts == row.facts and shown == row.shown:
            continue
        known, between = row.shown, passed.get(facts.hub)
        if known is not None and _by_itself(row.facts, facts):
            if shown[:VISIBLE] != known[:VISIBLE]:
                told.append(telling(facts, shown, agreed, row.version + steps))
            if between is not None and between[:VISIBLE] != known[:VISIBLE]:
                told_before.append(telling(facts, between, agreed, row.version + 1))
            saved.append((row, facts, shown))
            continue
        before = None if known is None else seen(row.facts, known, consented(row.facts, rollout))
        live = word(facts, shown, agreed)
        withheld = None if before is None else withhold(row, facts, before, live, pacing=rollout.pacing, at=at)
        if withheld != facts.consent.withheld:
            facts = facts._replace(consent=facts.consent._replace(withheld=withheld))
            shown = show(facts, rollout, agreed)
        saved.append((row, facts, shown))
        if withheld is None:
            if between is not None:
                passing = word(facts, between, agreed)
                told_before += _news(facts, row.version + 1, before, passing)
                before = passing
            told += _news(facts, row.version + steps, before, live)
    return Derived(saved, steps, told_before, told)


def _by_itself(before: Facts, after: Facts) -> bool:
    """Whether the hub, its image or a decision has moved it, and nothing is withheld: then all Parties see the same of
    it. Groups that are as they were are the same objects, but for one that was written anew."""
    same = before.consent is after.consent or before.consent == after.consent
    return same and after.consent.withheld is None and before.inventory.responsible == after.inventory.responsible


def _news(facts: Facts, version: int, before: Word | None, after: Word) -> list[Telling]:
    parties = news(before, after)
    return [Telling(facts.part, facts.hub, version, after, parties)] if parties else []


def telling(facts: Facts, shown: Shown, agreed: Plan, version: int) -> Telling:
    """What is told of a row in this state to all whom it concerns."""
    return Telling(facts.part, facts.hub, version, word(facts, shown, agreed))


def as_seen(row: Row, shown: Shown, rollout: Rollout) -> Telling:
    """What is told of a row that has not changed: as its Parties see it at present."""
    return Telling(row.facts.part, row.facts.hub, row.version, seen(row.facts, shown, consented(row.facts, rollout)))


def progressed(rollout: Rollout, told: Sequence[Telling], too_late: PartyId | None = None) -> list[Outgoing]:
    """hub.progressed for rows, in chunks of a partition; `too_late` is the Party alone that is to hear of it."""
    rows = [(one.part, one.hub, one) for one in told]
    return hub_events(HUB_PROGRESSED, rows, functools.partial(_event, rollout, too_late))


def _event(rollout: Rollout, too_late: PartyId | None, told: tuple[Telling, ...]) -> HubProgressed:
    alike: dict[tuple[Word, _Parties | None], dict[HubId, int]] = {}
    for one in told:
        alike.setdefault((one.word, one.news_for), {})[one.hub] = one.version
    items = tuple(_item(*about, hubs, too_late) for about, hubs in alike.items())
    return HubProgressed(release_id=rollout.release_id, firmware=rollout.image.firmware, items=items)


def _item(word: Word, news_for: _Parties | None, hubs: dict[HubId, int], too_late: PartyId | None) -> HubProgress:
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
        news_for=news_for,
        too_late=() if too_late is None else (too_late,),
    )
