"""Calendar months in UTC, clamped to the end of the month (REQUIREMENTS, readings; ADR 0054).

Every limit that is counted in months is computed here, and each of them is monotonic: a later instant never gives an
earlier limit.
"""

import calendar
from datetime import time

from chfw_common.kernel.instants import EARLIEST, LATEST, Instant, require_utc

_LAST_OF_A_DAY = time.max
"""The last instant of a day that can be written, a microsecond before the next day."""


def add_months(at: Instant, months: int) -> Instant:
    """The same day and time `months` later (or earlier); the last instant of that month where it has no such day.

    31 January at any time plus one month is 28 (or 29) February 23:59:59.999999: the greatest instant that is not after
    "31 February". To keep the time of day there would put 28 February 12:00 after 31 January 00:00 plus one month.
    Total: a limit beyond the bounds of instants is the bound.
    """
    at = min(max(require_utc(at), EARLIEST), LATEST)
    index = at.year * 12 + (at.month - 1) + months
    year, month = index // 12, index % 12 + 1
    last_day = calendar.monthrange(year, month)[1]
    if at.day > last_day:
        found = Instant.combine(at.date().replace(year=year, month=month, day=last_day), _LAST_OF_A_DAY, at.tzinfo)
    else:
        found = at.replace(year=year, month=month)
    return min(max(found, EARLIEST), LATEST)


def cut_off(automatic_date: Instant) -> Instant:
    """The last instant at which an instruction is in time: one month before the automatic date (R3-7)."""
    return add_months(automatic_date, -1)


def latest_automatic_date(notified_at: Instant) -> Instant:
    """No automatic date may be later than six months after the notice (R1-2, A-1)."""
    return add_months(notified_at, 6)
