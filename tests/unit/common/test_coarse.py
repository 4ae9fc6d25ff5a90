"""Days and quarters of an hour, as Suppliers are shown what others did."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.coarse import DAY, QUARTER_HOUR, day_after, day_from, day_of, quarter_from, quarter_of
from chfw_common.kernel.instants import Instant

instants = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


@given(instants)
def test_grids(at: Instant) -> None:
    """Below and above by less than a step; an instant of the grid is its own neighbour, but for the end of its day."""
    assert timedelta(0) <= at - day_of(at) < DAY
    assert timedelta(0) <= day_from(at) - at < DAY
    assert timedelta(0) < day_after(at) - at <= DAY
    assert timedelta(0) <= at - quarter_of(at) < QUARTER_HOUR
    assert timedelta(0) <= quarter_from(at) - at < QUARTER_HOUR
    for day in (day_of(at), day_from(at), day_after(at)):
        assert (day.hour, day.minute, day.second, day.microsecond) == (0, 0, 0, 0)
    assert quarter_from(at).minute in {0, 15, 30, 45}
    assert (day_from(day_of(at)), quarter_from(quarter_of(at))) == (day_of(at), quarter_of(at))


def test_the_last_quarter_of_the_calendar_has_no_end() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert quarter_from(last) == last
