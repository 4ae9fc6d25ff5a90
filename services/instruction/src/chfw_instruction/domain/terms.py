"""What a release lays down for its instructions, and what refuses a request as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from chfw_common.kernel.applicability import Image
from chfw_common.kernel.coarse import quarter_from
from chfw_common.kernel.ids import PartyId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import AnswerKind, Mode, Rule
from chfw_common.kernel.waves import Wave


@dataclass(frozen=True, slots=True)
class Terms:
    """A release as intake knows it: its notice at the highest version, its decision at the highest epoch.

    `automatic_date` and `waves` are those in force. `pilot_places`: the hubs that each Party may name for the pilot.
    """

    release_id: ReleaseId
    image: Image
    cpl_active: bool
    rule: Rule
    mode: Mode
    automatic_date: Instant
    waves: tuple[Wave, ...]
    pilot_opens: Instant
    pilot_places: Mapping[PartyId, int]

    def places_of(self, party: PartyId) -> int:
        """How many hubs a Party may name for the pilot; one where the notice says nothing of it."""
        return self.pilot_places.get(party, 1)


class WholeRefusal(StrEnum):
    """Why a request is refused as a whole; nothing of it is stored."""

    UNKNOWN_RELEASE = "unknown_release"
    RELEASE_REVOKED = "release_revoked"
    RELEASE_STOPPED = "release_stopped"
    CPL_NOT_ACTIVE = "cpl_not_active"
    DECLINE_UNDER_MANDATORY = "decline_under_mandatory"
    TIME_REQUIRED = "time_required"
    TIME_NOT_ALLOWED = "time_not_allowed"
    TIME_IN_PAST = "time_in_past"
    EMPTY_LIST = "empty_list"
    TOO_MANY_ENTRIES = "too_many_entries"


_TIMELESS = frozenset({AnswerKind.DECLINE, AnswerKind.WITHDRAW})


def counted_time(kind: AnswerKind, activate_at: Instant | None) -> Instant | None:
    """A stated time as it counts and is shown: the first quarter of an hour that is not before it (R3-8).

    Who agrees repeats a time that was shown, so that is left as it is.
    """
    return activate_at if activate_at is None or kind is AnswerKind.AGREE else quarter_from(activate_at)


def refuse_whole(
    terms: Terms | None,
    *,
    kind: AnswerKind,
    activate_at: Instant | None,
    entries: int,
    limit: int,
    now: Instant,
) -> WholeRefusal | None:
    """The first reason against the request as a whole, or None. A paused release still takes instructions."""
    if terms is None:
        return WholeRefusal.UNKNOWN_RELEASE
    about_release = {
        WholeRefusal.RELEASE_REVOKED: terms.mode is Mode.REVOKED,
        WholeRefusal.RELEASE_STOPPED: terms.mode is Mode.STOP,
        WholeRefusal.CPL_NOT_ACTIVE: not terms.cpl_active,
    }
    about_time = {
        WholeRefusal.DECLINE_UNDER_MANDATORY: kind is AnswerKind.DECLINE and terms.rule is Rule.MANDATORY,
        WholeRefusal.TIME_REQUIRED: kind is AnswerKind.AGREE and activate_at is None,
        WholeRefusal.TIME_NOT_ALLOWED: kind in _TIMELESS and activate_at is not None,
        WholeRefusal.TIME_IN_PAST: activate_at is not None and activate_at < now,
    }
    about_list = {
        WholeRefusal.EMPTY_LIST: entries == 0,
        WholeRefusal.TOO_MANY_ENTRIES: entries > limit,
    }
    rows = {**about_release, **about_time, **about_list}
    return next((refusal for refusal, applies in rows.items() if applies), None)
