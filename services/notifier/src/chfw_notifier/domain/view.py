"""What one Party may see of hubs: its own part, and of a second Supplier that it exists and has instructed (R3-4).

Every view is built from nothing, field by field, so that whatever else a fact carries cannot slip through.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

from chfw_common.kernel.ids import HubId, PartyId
from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.kernel.rollout import AnswerKind, HubState

View: TypeAlias = tuple[tuple[str, Any], ...]
"""What a Party may see of hubs: names and values."""
Group: TypeAlias = tuple[View, list[HubId]]
"""Hubs that look the same to a Party."""
TOO_LATE = "too_late"
"""The reason shown to a Party whose answer met a hub that was armed already."""


class Progress(Protocol):
    """What is known of hubs that stand alike in one release: the shape of an item of hub.progressed."""

    @property
    def hubs(self) -> Mapping[HubId, int]: ...
    @property
    def state(self) -> HubState: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def activate_at(self) -> Instant | None: ...
    @property
    def answer_by(self) -> Instant | None: ...
    @property
    def proposed_at(self) -> Instant | None: ...
    @property
    def pilot(self) -> bool: ...
    @property
    def wave(self) -> str | None: ...
    @property
    def answers(self) -> Mapping[PartyId, AnswerKind | None]: ...
    @property
    def lapsed(self) -> Sequence[PartyId]: ...
    @property
    def too_late(self) -> Sequence[PartyId]: ...
    @property
    def news_for(self) -> Sequence[PartyId] | None: ...


def parties_of(items: Iterable[Progress]) -> list[PartyId]:
    """Everybody who is told something, sorted."""
    return sorted({party for item in items for party in _told(item)})


def _told(item: Progress) -> Sequence[PartyId]:
    """Who hears of an item: the Party that was too late alone, or else those whose view of the hubs has changed."""
    if item.too_late:
        return item.too_late
    return (*item.answers, *item.lapsed) if item.news_for is None else item.news_for


def views_of(progress: Progress) -> dict[PartyId, dict[str, Any]]:
    """The hubs as each of their Parties sees them.

    A Party that answers for them no longer learns that its instruction lapsed, no more. What all who answer for them
    may see is the same for each; beside it stand a Party's own answer, and two facts about the other. Of an answer that
    came too late only its own Party hears: that the other has sent something is not for anybody else.
    """
    views: dict[PartyId, dict[str, Any]] = {
        party: {"lapsed": True} for party in progress.lapsed if party not in progress.answers
    }
    shared = {
        "state": progress.state,
        "reason": progress.reason,
        "activate_at": _instant(progress.activate_at),
        "answer_by": _instant(progress.answer_by),
        "proposed_at": _instant(progress.proposed_at),
        "pilot": progress.pilot,
        "wave": progress.wave,
    }
    instructed = sum(map(_instructs, progress.answers.values()))
    for party, own in progress.answers.items():
        views[party] = {
            **shared,
            "answer": own,
            "lapsed": party in progress.lapsed,
            "second_supplier": len(progress.answers) > 1,
            "second_has_instructed": instructed > _instructs(own),
        }
    if progress.too_late:
        return {party: {**views.get(party, {}), "reason": TOO_LATE} for party in progress.too_late}
    return views


def told_of(items: Iterable[Progress], news: Container[tuple[HubId, PartyId]]) -> dict[PartyId, list[Group]]:
    """What each Party is told of an event: its hubs, by what it may see of them. `news`: who learns that it lapsed.

    A Party is told only what has changed in its own view. Hubs that look the same to a Party stand together in the
    order of their ids, and so do these groups by their first hub: who else answers for a hub, and that it is another
    one than for the next, leaves no trace.
    """
    seen: dict[PartyId, dict[View, list[HubId]]] = {}
    for item in items:
        told = _told(item)
        for party, view in views_of(item).items():
            if party in told:
                hubs = list(item.hubs) if party in item.answers else [hub for hub in item.hubs if (hub, party) in news]
                if hubs:
                    seen.setdefault(party, {}).setdefault(tuple(view.items()), []).extend(hubs)
    return {
        party: sorted(((view, sorted(hubs)) for view, hubs in views.items()), key=lambda group: group[1][0])
        for party, views in sorted(seen.items())
    }


_NOT_BEGUN = frozenset({HubState.ELIGIBLE, HubState.AWAITING_CONSENT, HubState.SCHEDULED})


def for_supplier(totals: Mapping[str, Any]) -> dict[str, Any]:
    """How a release stands, as Suppliers are told. Hubs with which nothing has begun are counted as eligible: for how
    many of them somebody has said something is nobody else's business."""
    counted: Counter[str] = Counter()
    for state, hubs in totals["totals"].items():
        counted[HubState.ELIGIBLE.value if state in _NOT_BEGUN else state] += hubs
    return {**totals, "totals": dict(sorted(counted.items()))}


def _instructs(answer: AnswerKind | None) -> bool:
    return answer is AnswerKind.INSTRUCT or answer is AnswerKind.AGREE


@lru_cache(maxsize=4_096)
def _written(value: Instant) -> str:
    """Hubs of a release share few instants."""
    return format_instant(value)


def _instant(value: Instant | None) -> str | None:
    return None if value is None else _written(value)
