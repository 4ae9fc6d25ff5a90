"""The verdict of one entry: the first row of the table of REQUIREMENTS that matches, top to bottom.

The rows that look at another release, at the ledger, at waves and at the pilot's cap are not judged here yet.
"""

from dataclasses import dataclass
from enum import StrEnum

from chfw_common.kernel.applicability import Image, inapplicable
from chfw_common.kernel.hubs import HubRecord
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.months import cut_off
from chfw_common.kernel.roles import SUPPLIER_ROLES
from chfw_instruction.domain.entries import Entry


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
    AFTER_CUT_OFF = "after_cut_off"
    TIME_NOT_BEFORE_DATE = "time_not_before_date"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class Asked:
    """What all entries of a request share: who asks, for what image and time, and what is laid down.

    `automatic_date` is the date in force when the request was received; verdicts are as of then.
    """

    party: PartyId
    user_id: UserId
    image: Image
    automatic_date: Instant
    received_at: Instant
    activate_at: Instant | None

    @property
    def refused_by_date(self) -> Verdict | None:
        """What the dates say, alike for every entry. Exactly at the cut-off is in time; exactly at D is too late."""
        if self.received_at > cut_off(self.automatic_date):
            return Verdict.AFTER_CUT_OFF
        if self.activate_at is not None and self.activate_at >= self.automatic_date:
            return Verdict.TIME_NOT_BEFORE_DATE
        return None


def judge(asked: Asked, entry: Entry, hub: HubRecord | None, by_date: Verdict | None) -> Verdict:
    """The verdict of one entry, given what the inventory says and `asked.refused_by_date`, found once."""
    if entry.hub is None:
        return Verdict.MALFORMED_ID
    if entry.duplicate:
        return Verdict.DUPLICATE_IN_REQUEST
    if hub is None:
        return Verdict.UNKNOWN_HUB
    if not _responsible(asked, hub):
        return Verdict.NOT_RESPONSIBLE
    reason = inapplicable(asked.image, hub)
    if reason is not None:
        return Verdict(reason.value)
    return by_date or Verdict.ACCEPTED


def _responsible(asked: Asked, hub: HubRecord) -> bool:
    # A plain loop: this runs fifty thousand times for one request.
    for one in hub.responsible:
        if one.user_id == asked.user_id and one.party == asked.party and one.role in SUPPLIER_ROLES:
            return True
    return False
