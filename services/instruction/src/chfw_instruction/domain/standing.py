"""Where hubs stand in releases, as far as it refuses an instruction: three classes of the ledger's states, and the
times that were shown to Parties to agree to."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from chfw_common.kernel.ids import HubId, PartyId, ReleaseId
from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.kernel.rollout import FINAL_STATES, HubState


class StateClass(StrEnum):
    """What a state means to an instruction."""

    OPEN = "open"
    HOLDS = "holds"
    ARMED = "armed"
    FINAL = "final"


class Standing(StrEnum):
    """Why a hub takes no instruction."""

    OTHER_HOLDS = "other_holds"
    FINISHED = "finished"


_HOLDS = frozenset(
    {
        HubState.DISTRIBUTING,
        HubState.DELIVERED,
        HubState.DELIVERY_FAILED,
        HubState.ACTIVATION_FAILED,
        HubState.NOT_APPLIED,
    }
)
_ARMED = frozenset(
    {
        HubState.ARMING,
        HubState.ARMED,
        HubState.CANCELLING,
        HubState.ACTIVATED,
        HubState.SILENT,
        HubState.UNREACHABLE,
    }
)


def class_of(state: HubState) -> StateClass:
    """The class of a state. A failed attempt leaves the hub with its release, but no longer armed."""
    if state in FINAL_STATES:
        return StateClass.FINAL
    if state in _ARMED:
        return StateClass.ARMED
    return StateClass.HOLDS if state in _HOLDS else StateClass.OPEN


def standing(asked_for: ReleaseId, rows: Iterable[tuple[ReleaseId, StateClass]]) -> Standing | None:
    """What refuses an instruction for a release, given where the hub stands in those that are not ended."""
    finished = False
    for release_id, state in rows:
        if release_id != asked_for and state in {StateClass.HOLDS, StateClass.ARMED}:
            return Standing.OTHER_HOLDS
        finished |= release_id == asked_for and state in {StateClass.ARMED, StateClass.FINAL}
    return Standing.FINISHED if finished else None


def showing(party: PartyId, proposed_at: Instant) -> str:
    """That this time was shown to this Party as the proposed one, as it is noted of a hub."""
    return f"{format_instant(proposed_at)} {party}"


def showings(parties: Iterable[PartyId], proposed_at: Instant | None) -> tuple[str, ...]:
    """What is noted of hubs for which a time is proposed; nothing where none is."""
    return () if proposed_at is None else tuple(showing(party, proposed_at) for party in parties)


class Told(NamedTuple):
    """The newest word on a hub in one batch.

    `moved`: the batch told of more than one class. `shown`: all that the batch showed to Parties (see `showing`).
    """

    hub: HubId
    version: int
    state: StateClass
    moved: bool = False
    shown: tuple[str, ...] = ()


def newest(words: Iterable[Told]) -> list[Told]:
    """One word for each hub, that of the highest version; whatever was shown counts, also of an older one."""
    found: dict[HubId, Told] = {}
    for word in words:
        known = found.get(word.hub)
        if known is None:
            found[word.hub] = word
            continue
        last = word if word.version > known.version else known
        shown = known.shown if known.shown == word.shown else tuple(dict.fromkeys((*known.shown, *word.shown)))
        found[word.hub] = last._replace(moved=known.moved or known.state is not word.state, shown=shown)
    return list(found.values())
