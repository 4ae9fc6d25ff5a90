"""The oracle of the demonstration computes by its own reasoning; where a rule is pinned, both must find the same."""

from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from chfw_cli.demo import oracle
from chfw_common.kernel.coarse import quarter_from
from chfw_common.kernel.instants import Instant, parse_instant
from chfw_common.kernel.months import cut_off

within = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(within)
@example(parse_instant("2027-03-29T12:00:00Z"))
@example(parse_instant("2027-03-31T00:00:00Z"))
@example(parse_instant("2028-03-30T23:59:59.999999Z"))
def test_the_oracle_has_the_same_cut_off(automatic_date: Instant) -> None:
    assert oracle.cut_off(automatic_date) == cut_off(automatic_date)


def test_on_every_day_of_four_years() -> None:
    days = [parse_instant("2026-01-01T06:00:00Z") + timedelta(days=n) for n in range(4 * 365 + 1)]
    assert [oracle.cut_off(day) for day in days] == [cut_off(day) for day in days]


@given(within)
@example(parse_instant("2027-03-29T12:00:00Z"))
@example(parse_instant("2027-03-31T23:59:59.999999Z"))
def test_the_oracle_has_the_same_quarters_of_an_hour(stated: Instant) -> None:
    assert oracle.counted_time("instruct", stated) == quarter_from(stated)
    assert oracle.counted_time("agree", stated) == stated
