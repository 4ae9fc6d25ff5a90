"""The verdict of each entry: the first row of the table of REQUIREMENTS that matches, top to bottom."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chfw_common.kernel.applicability import Image, inapplicable
from chfw_common.kernel.hubs import DeviceStatus, DeviceType, HubFields, HubRecord
from chfw_common.kernel.ids import HubId, PartyId, UserId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.months import cut_off
from chfw_common.kernel.rollout import AnswerKind, Group
from chfw_common.kernel.waves import Wave, wave_of
from chfw_instruction.domain.standing import Standing


class Verdict(StrEnum):
    """What became of an entry."""

    MALFORMED_ID = "malformed_id"
    DUPLICATE_IN_REQUEST = "duplicate_in_request"
    UNKNOWN_HUB = "unknown_hub"
    NOT_RESPONSIBLE = "not_responsible"
    NOT_A_HUB = "not_a_hub"
    NOT_COMMISSIONED = "not_commissioned"
    ALREADY_AT_VERSION = "already_at_version"
    MODEL_NOT_APPLICABLE = "model_not_applicable"
    NOT_UPGRADEABLE = "not_upgradeable"
    GBCS_INCOMPATIBLE = "gbcs_incompatible"
    OTHER_REQUEST_IN_PROGRESS = "other_request_in_progress"
    FINISHED = "finished"
    AFTER_CUT_OFF = "after_cut_off"
    TIME_NOT_BEFORE_DATE = "time_not_before_date"
    BEFORE_GROUP_OPENS = "before_group_opens"
    PILOT_CLOSED = "pilot_closed"
    TIME_NOT_SHOWN = "time_not_shown"
    PILOT_FULL = "pilot_full"
    ACCEPTED = "accepted"


_STANDING = {
    Standing.OTHER_HOLDS: Verdict.OTHER_REQUEST_IN_PROGRESS,
    Standing.FINISHED: Verdict.FINISHED,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What all entries of a request share: who asks, for what image and time, and what is laid down.

    `automatic_date`, `waves`, `pilot_opens` and `pilot_places` are those in force when the request was received; dates
    are judged as of then. `pilot_places`: how many hubs the Party may name for the pilot.
    """

    party: PartyId
    user_id: UserId
    image: Image
    automatic_date: Instant
    waves: tuple[Wave, ...]
    received_at: Instant
    activate_at: Instant | None
    kind: AnswerKind
    group: Group
    pilot_opens: Instant
    pilot_places: int

    @property
    def for_pilot(self) -> bool:
        """Whether this is a pilot list. Who declines or withdraws names no hub for the pilot."""
        return self.group is Group.PILOT and self.kind in {AnswerKind.INSTRUCT, AnswerKind.AGREE}

    @property
    def depends_on_pilot(self) -> bool:
        """Whether the dates say of a hub of the pilot something else than of another."""
        return self.activate_at is not None and (bool(self.waves) or self.activate_at < self.pilot_opens)

    @property
    def time_agreed(self) -> Instant | None:
        """The time that the Party says it was shown; None where it does not agree to one."""
        return self.activate_at if self.kind is AnswerKind.AGREE else None

    def refused_by_date(self, wave: Wave | None, *, pilot: bool) -> Verdict | None:
        """What the dates say of every hub of a wave, None being the rest, in the pilot or not.

        Exactly at the cut-off is in time; exactly at D is too late; exactly at the opening is open. The pilot opens at
        `pilot_opens`, whatever waves its hubs are in; the rest is open from the first.
        """
        automatic_date, opens = (self.automatic_date, None) if wave is None else (wave.automatic_date, wave.opens)
        if pilot:
            opens = self.pilot_opens
        if self.received_at > cut_off(automatic_date):
            return Verdict.AFTER_CUT_OFF
        if self.activate_at is not None:
            if self.activate_at >= automatic_date:
                return Verdict.TIME_NOT_BEFORE_DATE
            if opens is not None and self.activate_at < opens:
                return Verdict.BEFORE_GROUP_OPENS
        if self.for_pilot and self.received_at >= self.pilot_opens:
            return Verdict.PILOT_CLOSED
        return None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the hubs of a chunk when it is judged.

    `pilot`: for a pilot list, the hubs among them that the Party's own lists name already; for any other, those that
    another Party's list names, whatever this one says now. `pilot_size`: all hubs that the Party's own lists name; it
    matters to a pilot list, and what others have named does not. `shown`: those of them for which the Party was shown
    the time that it agrees to.
    """

    inventory: Mapping[HubId, HubFields]
    standing: Mapping[HubId, Standing]
    pilot: Collection[HubId] = frozenset()
    pilot_size: int = 0
    shown: Collection[HubId] = frozenset()


def judge(asked: Asked, hubs: Sequence[HubId | None], duplicates: Collection[int], known: Known) -> list[Verdict]:
    """One verdict for each entry, in order."""
    rows = _Rows(asked, known)
    verdicts = []
    for n, hub in enumerate(hubs):
        if hub is None:
            verdicts.append(Verdict.MALFORMED_ID)
        elif n in duplicates:
            verdicts.append(Verdict.DUPLICATE_IN_REQUEST)
        else:
            verdicts.append(rows.of_hub(hub))
    return verdicts


class _Rows:
    """The rows of the table that look at a hub; hubs that are alike are compared with the image once."""

    def __init__(self, asked: Asked, known: Known) -> None:
        self._asked = asked
        self._sender = (asked.party, asked.user_id)
        self._known = known
        self._alike: dict[tuple[str, ...], Verdict | None] = {}
        self._dated: dict[tuple[str | None, bool], Verdict | None] = {}
        self._pilot = set(known.pilot)
        self._room = asked.pilot_places - known.pilot_size if asked.for_pilot else None

    def of_hub(self, hub: HubId) -> Verdict:
        found = self._known.inventory.get(hub)
        if found is None:
            return Verdict.UNKNOWN_HUB
        if self._sender not in ((found[2], found[3]), (found[4], found[5])):
            return Verdict.NOT_RESPONSIBLE
        by_image = self._by_image(hub, found)
        if by_image is not None:
            return by_image
        standing = self._known.standing.get(hub)
        if standing is not None:
            return _STANDING[standing]
        return self._by_date(hub, found.region) or self._by_showing(hub) or self._by_room(hub)

    def _by_image(self, hub: HubId, found: HubFields) -> Verdict | None:
        kind = found[7:]
        if kind not in self._alike:
            device_type, status, manufacturer, model, hardware, firmware, gbcs = kind
            record = HubRecord(
                hub, found.part, DeviceType(device_type), DeviceStatus(status),
                manufacturer, model, hardware, firmware, gbcs, "", (), 0,
            )  # fmt: skip
            reason = inapplicable(self._asked.image, record)
            self._alike[kind] = None if reason is None else Verdict(reason.value)
        return self._alike[kind]

    def _by_date(self, hub: HubId, region: str) -> Verdict | None:
        wave = wave_of(self._asked.waves, hub, region)
        pilot = self._asked.for_pilot or hub in self._pilot
        dated = (None if wave is None else wave.name, pilot)
        if dated not in self._dated:
            self._dated[dated] = self._asked.refused_by_date(wave, pilot=pilot)
        return self._dated[dated]

    def _by_showing(self, hub: HubId) -> Verdict | None:
        unseen = self._asked.time_agreed is not None and hub not in self._known.shown
        return Verdict.TIME_NOT_SHOWN if unseen else None

    def _by_room(self, hub: HubId) -> Verdict:
        if self._room is None or hub in self._pilot:
            return Verdict.ACCEPTED
        if self._room <= 0:
            return Verdict.PILOT_FULL
        self._room -= 1
        return Verdict.ACCEPTED
