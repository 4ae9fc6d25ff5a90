"""What one Party may see of a hub: its own part, and of a second Supplier that it exists and has instructed (R3-4).

Every view is built from nothing, field by field, so that whatever else a fact carries cannot slip through.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from chfw_common.kernel.ids import HubId, PartyId, hub_eui64
from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.kernel.rollout import AnswerKind, HubState

TOO_LATE = "too_late"
"""The reason shown to a Party whose answer met a hub that was armed already."""


class Progress(Protocol):
    """What is known of one hub in one release: the shape of an item of hub.progressed."""

    @property
    def hub(self) -> HubId: ...
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
    def answers(self) -> Mapping[PartyId, AnswerKind | None]: ...
    @property
    def lapsed(self) -> Sequence[PartyId]: ...
    @property
    def too_late(self) -> Sequence[PartyId]: ...


def parties_of(items: Iterable[Progress]) -> list[PartyId]:
    """Everybody who is told something, sorted."""
    return sorted({party for item in items for party in (item.too_late or (*item.answers, *item.lapsed))})


def views_of(progress: Progress) -> dict[PartyId, dict[str, Any]]:
    """The hub as each of its Parties sees it.

    A Party that answers for it no longer learns that its instruction lapsed, no more. What all who answer for it may
    see is the same for each; beside it stand a Party's own answer, and two facts about the other. Of an answer that
    came too late only its own Party hears: that the other has sent something is not for anybody else.
    """
    hub = hub_eui64(progress.hub)
    views: dict[PartyId, dict[str, Any]] = {
        party: {"hub": hub, "lapsed": True} for party in progress.lapsed if party not in progress.answers
    }
    shared = {
        "hub": hub,
        "state": progress.state,
        "reason": progress.reason,
        "activate_at": _instant(progress.activate_at),
        "answer_by": _instant(progress.answer_by),
        "proposed_at": _instant(progress.proposed_at),
        "pilot": progress.pilot,
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
        return {party: {**views.get(party, {"hub": hub}), "reason": TOO_LATE} for party in progress.too_late}
    return views


def view_of(party: PartyId, progress: Progress) -> dict[str, Any] | None:
    """The hub as one Party sees it; None when the hub is none of its business."""
    return views_of(progress).get(party)


def _instructs(answer: AnswerKind | None) -> bool:
    return answer is AnswerKind.INSTRUCT or answer is AnswerKind.AGREE


@lru_cache(maxsize=4_096)
def _written(value: Instant) -> str:
    """Hubs of a release share few instants."""
    return format_instant(value)


def _instant(value: Instant | None) -> str | None:
    return None if value is None else _written(value)
