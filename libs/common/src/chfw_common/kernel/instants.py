"""Instants: timezone-aware, in UTC, within two bounds, everywhere. A naive value is refused where it is made.

The bounds hold for whatever comes from outside: requests, events, tokens. They are far from where calendars end, so no
time that is computed from one of them overflows, and none is the value that Postgres knows as infinity (ADR 0073).
"""

from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Instant: TypeAlias = datetime

EARLIEST: Instant = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Instant = datetime(2200, 1, 1, tzinfo=UTC)
"""The first and the last instant that anybody may state."""


class NaiveInstantError(ValueError):
    """An instant without a time zone, or not in UTC."""


class InstantRangeError(ValueError):
    """An instant before the first or after the last that may be stated."""

    def __init__(self) -> None:
        super().__init__(f"a time lies between {format_instant(EARLIEST)} and {format_instant(LATEST)}")


def require_utc(value: datetime) -> Instant:
    """The value itself when it is aware and in UTC; an aware value of another zone is converted.

    Raises NaiveInstantError or InstantRangeError.
    """
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise NaiveInstantError("an instant needs a time zone")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise InstantRangeError from error


def stated(value: datetime) -> Instant:
    """An instant that came from outside, in UTC. Raises NaiveInstantError, or InstantRangeError beyond the bounds."""
    instant = require_utc(value)
    if not EARLIEST <= instant <= LATEST:
        raise InstantRangeError
    return instant


def shifted(at: Instant, span: timedelta) -> Instant:
    """So much later, or earlier; never beyond the bounds, so that an event can say it."""
    return min(max(at + span, EARLIEST), LATEST)


def parse_instant(text: str) -> Instant:
    """Read RFC 3339 text. Raises ValueError for anything else: NaiveInstantError when the zone is missing,
    InstantRangeError beyond the bounds."""
    return stated(datetime.fromisoformat(text))


def format_instant(value: Instant) -> str:
    """RFC 3339 with `Z`, microseconds only where there are some."""
    return require_utc(value).isoformat().replace("+00:00", "Z")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ceil_to_grid(value: Instant, grid: timedelta) -> Instant:
    """The first instant of the grid (counted from the Unix epoch) that is not before the value."""
    steps = -((_EPOCH - value) // grid)
    return _EPOCH + steps * grid


def floor_to_grid(value: Instant, grid: timedelta) -> Instant:
    """The last instant of the grid (counted from the Unix epoch) that is not after the value."""
    return _EPOCH + (value - _EPOCH) // grid * grid
