"""Calendar months in UTC, clamped to the end of the month (REQUIREMENTS, readings)."""

import calendar

from chfw_common.kernel.instants import Instant, require_utc


def add_months(at: Instant, months: int) -> Instant:
    """The same day and time of day `months` later (or earlier); 31 January plus one month is the last of February."""
    at = require_utc(at)
    index = at.year * 12 + (at.month - 1) + months
    year, month = divmod(index, 12)
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return at.replace(year=year, month=month + 1, day=day)


def cut_off(automatic_date: Instant) -> Instant:
    """The last instant at which an instruction is in time: one month before the automatic date (R3-7)."""
    return add_months(automatic_date, -1)


def latest_automatic_date(notified_at: Instant) -> Instant:
    """No automatic date may be later than six months after the notice (R1-2, A-1)."""
    return add_months(notified_at, 6)
