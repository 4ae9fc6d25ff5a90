"""Instants: timezone-aware, in UTC, everywhere. A naive value is refused where it is made."""

from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Instant: TypeAlias = datetime


class NaiveInstantError(ValueError):
    """An instant without a time zone, or not in UTC."""


class InstantRangeError(ValueError):
    """An instant before the year 1 or after the year 9999, once it is in UTC."""


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
        raise InstantRangeError("in UTC the time lies before the year 1 or after the year 9999") from error


def parse_instant(text: str) -> Instant:
    """Read RFC 3339 text. Raises ValueError for anything else, NaiveInstantError when the zone is missing."""
    return require_utc(datetime.fromisoformat(text))


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
