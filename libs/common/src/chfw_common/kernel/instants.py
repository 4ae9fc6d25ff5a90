"""Instants: timezone-aware, in UTC, everywhere. A naive value is refused where it is made."""

from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Instant: TypeAlias = datetime


class NaiveInstantError(ValueError):
    """An instant without a time zone, or not in UTC."""


def require_utc(value: datetime) -> Instant:
    """The value itself when it is aware and in UTC; an aware value of another zone is converted."""
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise NaiveInstantError("an instant needs a time zone")
    return value.astimezone(UTC)


def parse_instant(text: str) -> Instant:
    """Read RFC 3339 text. Raises ValueError for anything else, NaiveInstantError when the zone is missing."""
    return require_utc(datetime.fromisoformat(text))


def format_instant(value: Instant) -> str:
    """RFC 3339 with `Z`, microseconds only where there are some."""
    return require_utc(value).isoformat().replace("+00:00", "Z")


def ceil_to_grid(value: Instant, grid: timedelta) -> Instant:
    """The first instant of the grid (counted from the Unix epoch) that is not before the value."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    steps = -((epoch - value) // grid)
    return epoch + steps * grid
