"""How exactly one Supplier is shown what another has said: waits by whole days, stated times by quarters of an hour.

A finer instant tells two Suppliers apart (docs/isolation.md). The rules themselves count with these instants, so what
is shown is what holds.
"""

from datetime import timedelta

from chfw_common.kernel.instants import Instant, ceil_to_grid, floor_to_grid

DAY = timedelta(days=1)
QUARTER_HOUR = timedelta(minutes=15)


def day_of(at: Instant) -> Instant:
    """The midnight (UTC) at which the day of an instant began."""
    return floor_to_grid(at, DAY)


def day_from(at: Instant) -> Instant:
    """The first midnight (UTC) that is not before an instant."""
    return ceil_to_grid(at, DAY)


def day_after(at: Instant) -> Instant:
    """The midnight (UTC) at which the day of an instant ends."""
    return floor_to_grid(at, DAY) + DAY


def quarter_of(at: Instant) -> Instant:
    """The quarter of an hour in which an instant lies: its begin."""
    return floor_to_grid(at, QUARTER_HOUR)


def quarter_from(at: Instant) -> Instant:
    """The first quarter of an hour that is not before an instant; in the last one of all the instant itself."""
    try:
        return ceil_to_grid(at, QUARTER_HOUR)
    except OverflowError:
        return at
