"""The dates of a notice: filled in where the DCC states none, and refused where they do not fit (R1-2, R1-3)."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from chfw_common.kernel.instants import Instant
from chfw_common.kernel.months import cut_off, latest_automatic_date

PILOT_OPENS_AFTER = timedelta(days=14)
PILOT_CLOSES_AFTER = timedelta(days=28)


class Refusal(StrEnum):
    """Why a notice is refused."""

    CPL_NOT_ACTIVE = "cpl_not_active"
    DATE_IN_PAST = "date_in_past"
    DATE_TOO_LATE = "date_too_late"
    PILOT_ORDER = "pilot_order"
    PILOT_AFTER_CUT_OFF = "pilot_after_cut_off"


@dataclass(frozen=True, slots=True)
class Dates:
    """The dates of a notice."""

    notified_at: Instant
    pilot_opens: Instant
    pilot_closes: Instant
    automatic_date: Instant

    @property
    def instruction_possible(self) -> bool:
        """Whether the cut-off is still to come when the notice goes out; exactly at it is in time."""
        return self.notified_at <= cut_off(self.automatic_date)


def set_dates(
    *,
    cpl_active: bool,
    automatic_date: Instant,
    pilot_opens: Instant | None,
    pilot_closes: Instant | None,
    now: Instant,
) -> Dates | Refusal:
    """The dates of a notice sent now, or the first reason against it."""
    dates = Dates(
        notified_at=now,
        pilot_opens=pilot_opens or now + PILOT_OPENS_AFTER,
        pilot_closes=pilot_closes or now + PILOT_CLOSES_AFTER,
        automatic_date=automatic_date,
    )
    rows = {
        Refusal.CPL_NOT_ACTIVE: not cpl_active,
        Refusal.DATE_IN_PAST: automatic_date <= now,
        Refusal.DATE_TOO_LATE: automatic_date > latest_automatic_date(now),
        Refusal.PILOT_ORDER: not now <= dates.pilot_opens < dates.pilot_closes,
    }
    refused = next((refusal for refusal, applies in rows.items() if applies), None)
    # Only now: before the first month of the calendar there is no cut-off.
    if refused is None and dates.instruction_possible and dates.pilot_closes >= cut_off(automatic_date):
        refused = Refusal.PILOT_AFTER_CUT_OFF
    return refused or dates
