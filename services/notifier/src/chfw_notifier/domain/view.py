"""What one Party may see of a hub: its own part, and of a second Supplier that it exists and has instructed (R3-4).

Every view is built from nothing, field by field, so that whatever else a fact carries cannot slip through.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from chfw_common.kernel.ids import HubId, PartyId, hub_eui64
from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.kernel.rollout import AnswerKind, HubState

_INSTRUCTED = frozenset({AnswerKind.INSTRUCT, AnswerKind.AGREE})


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


def parties_of(items: Iterable[Progress]) -> list[PartyId]:
    """Everybody who is told something, sorted."""
    return sorted({party for item in items for party in (*item.answers, *item.lapsed)})


def view_of(party: PartyId, progress: Progress) -> dict[str, Any] | None:
    """The hub as its Party sees it. A Party that answers for it no longer learns that its instruction lapsed, no more.

    None when the hub is none of the Party's business.
    """
    lapsed = party in progress.lapsed
    if party not in progress.answers:
        return {"hub": hub_eui64(progress.hub), "lapsed": True} if lapsed else None
    own = progress.answers[party]
    others = [answer for other, answer in progress.answers.items() if other != party]
    return {
        "hub": hub_eui64(progress.hub),
        "state": progress.state.value,
        "reason": progress.reason,
        "activate_at": _instant(progress.activate_at),
        "answer_by": _instant(progress.answer_by),
        "proposed_at": _instant(progress.proposed_at),
        "pilot": progress.pilot,
        "answer": None if own is None else own.value,
        "lapsed": lapsed,
        "second_supplier": bool(others),
        "second_has_instructed": any(answer in _INSTRUCTED for answer in others),
    }


def _instant(value: Instant | None) -> str | None:
    return None if value is None else format_instant(value)
