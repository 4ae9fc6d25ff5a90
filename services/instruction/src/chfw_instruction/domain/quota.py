"""How much a Party may have under way at intake, how much it may send in a day, and how long it has to wait."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

from chfw_common.kernel.instants import Instant

PACE = 10_000
"""Entries judged in a second, told to those who wait; a machine that is busy needs longer."""
_PATIENCE = 3_600
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Quota:
    """What one Party may use. `open`: without all verdicts. A day is one of UTC, by `received_at`.

    `entries_per_minute` flow off, by the machine's time, of what the Party has sent; up to `entries_burst` may stand.
    So what it sends does not run ahead of those behind intake, who take longer than intake does.
    """

    open_requests: int
    open_entries: int
    entries_burst: int
    entries_per_minute: int
    entries_per_day: int


@dataclass(frozen=True, slots=True)
class Used:
    """What a Party uses at an instant."""

    open_requests: int
    open_entries: int
    entries_standing: float
    entries_today: int


class Spent(StrEnum):
    """Which part of a quota is spent."""

    OPEN_REQUESTS = "too_many_open_requests"
    OPEN_ENTRIES = "too_many_open_entries"
    ENTRIES_STANDING = "too_many_recent_entries"
    ENTRIES_TODAY = "too_many_entries_today"


def spent(quota: Quota, used: Used) -> Spent | None:
    """What keeps a Party from one more request, or None.

    A request is never too large for what is left: it is taken while the quota is not spent, so the most that a Party
    has open, or sends in a day, is the quota and one request. Nobody has to read a body to know.
    """
    rows = {
        Spent.OPEN_REQUESTS: used.open_requests >= quota.open_requests,
        Spent.OPEN_ENTRIES: used.open_entries >= quota.open_entries,
        Spent.ENTRIES_STANDING: used.entries_standing >= quota.entries_burst,
        Spent.ENTRIES_TODAY: used.entries_today >= quota.entries_per_day,
    }
    return next((part for part, applies in rows.items() if applies), None)


def flowed_off(standing: float, per_minute: int, since: Instant, now: Instant) -> float:
    """What stands now of the entries that stood then."""
    passed = max(0.0, (now - since).total_seconds())
    return max(0.0, standing - passed * per_minute / 60)


def until_free(over: Spent, quota: Quota, used: Used, now: Instant) -> float:
    """In how many seconds a part of a quota that is spent should be free again, as far as the Party's own work says."""
    if over is Spent.ENTRIES_TODAY:
        return _until_tomorrow(now)
    if over is Spent.ENTRIES_STANDING:
        return (used.entries_standing - quota.entries_burst) * 60 / quota.entries_per_minute
    return wait(used.open_entries)


def wait(open_entries: int) -> int:
    """In how many seconds so many entries of a Party should have their verdicts: one at least, an hour at most."""
    return min(max(1, -(-open_entries // PACE)), _PATIENCE)


def _until_tomorrow(now: Instant) -> float:
    tomorrow = datetime.combine(now.astimezone(UTC).date() + _DAY, time(), UTC)
    return (tomorrow - now).total_seconds()


def shown_done(received_at: Instant, done_at: Instant) -> Instant:
    """When the last verdict was made, as the Party sees it: by whole minutes, and not before the request came.

    To the microsecond it would say how much of the work of others lay in between.
    """
    return max(received_at, done_at.replace(second=0, microsecond=0))
