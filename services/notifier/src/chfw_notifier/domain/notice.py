"""The dates of a notice: filled in where the DCC states none, and refused where they do not fit (R1-2, R1-3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from chfw_common.kernel.instants import Instant
from chfw_common.kernel.months import cut_off, latest_automatic_date
from chfw_common.kernel.waves import Wave, WaveFault, fault_in

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
    waves: tuple[Wave, ...] = ()

    @property
    def first_cut_off(self) -> Instant | None:
        """The earliest cut-off, of the release or of one of its waves, that is still to come when the notice goes out.

        Exactly at it is in time. None: no hub can be instructed.
        """
        dates = (self.automatic_date, *(wave.automatic_date for wave in self.waves))
        return min((last for last in map(cut_off, dates) if self.notified_at <= last), default=None)


def set_dates(
    *,
    cpl_active: bool,
    automatic_date: Instant,
    pilot_opens: Instant | None,
    pilot_closes: Instant | None,
    waves: Sequence[Wave],
    soak: timedelta,
    now: Instant,
) -> Dates | Refusal | WaveFault:
    """The dates of a notice sent now, or the first reason against it."""
    dates = Dates(
        notified_at=now,
        pilot_opens=pilot_opens or now + PILOT_OPENS_AFTER,
        pilot_closes=pilot_closes or now + PILOT_CLOSES_AFTER,
        automatic_date=automatic_date,
        waves=tuple(waves),
    )
    rows = {
        Refusal.CPL_NOT_ACTIVE: not cpl_active,
        Refusal.DATE_IN_PAST: min([automatic_date, *(wave.automatic_date for wave in waves)]) <= now,
        Refusal.DATE_TOO_LATE: automatic_date > latest_automatic_date(now),
        Refusal.PILOT_ORDER: not now <= dates.pilot_opens < dates.pilot_closes,
    }
    refused = next((refusal for refusal, applies in rows.items() if applies), None)
    if refused is not None:
        return refused
    # Only now: before the first month of the calendar there is no cut-off.
    if dates.first_cut_off is not None and dates.pilot_closes >= dates.first_cut_off:
        return Refusal.PILOT_AFTER_CUT_OFF
    return fault_in(waves, automatic_date, soak=soak, now=now) or dates
