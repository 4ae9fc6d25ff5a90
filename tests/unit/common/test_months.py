"""Limits that are counted in calendar months: a later instant never gives an earlier limit (ADR 0054)."""

import calendar
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chfw_common.kernel.instants import Instant, parse_instant
from chfw_common.kernel.months import add_months, cut_off, latest_automatic_date

TICK = timedelta(microseconds=1)
BEGINS, ENDS = parse_instant("2026-01-01T00:00:00Z"), parse_instant("2030-01-01T00:00:00Z")
"""Four years, 2028 with its 29 February among them."""
EDGES = [
    BEGINS + hours * timedelta(hours=1) + shift
    for hours in range(int((ENDS - BEGINS) / timedelta(hours=1)))
    for shift in (timedelta(0), TICK, timedelta(minutes=30), timedelta(hours=1) - TICK)
]
"""Every hour of them: its first two instants, its middle and its last. Between them each limit only moves along."""
within = st.datetimes(BEGINS.replace(tzinfo=None), ENDS.replace(tzinfo=None), timezones=st.just(UTC))

Limit = Callable[[Instant], Instant]


def shifted(months: int) -> Limit:
    return lambda at: add_months(at, months)


LIMITS: dict[str, Limit] = {
    "cut-off": cut_off,
    "latest automatic date": latest_automatic_date,
    **{f"{months:+d} months": shifted(months) for months in range(-13, 14)},
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_later_instant_never_gives_an_earlier_limit(name: str) -> None:
    """At every edge, and by it everywhere: between two edges a limit moves along with the instant, or stands."""
    limits = [LIMITS[name](at) for at in EDGES]
    earlier = [(EDGES[n], EDGES[n + 1]) for n, (one, next_one) in enumerate(pairwise(limits)) if one > next_one]
    assert earlier == []


@given(st.sampled_from(sorted(LIMITS)), within, within)
@example("cut-off", parse_instant("2027-03-29T12:00:00Z"), parse_instant("2027-03-31T00:00:00Z"))
@example("cut-off", parse_instant("2028-03-30T12:00:00Z"), parse_instant("2028-03-31T00:00:00Z"))
@example("latest automatic date", parse_instant("2026-08-29T12:00:00Z"), parse_instant("2026-08-31T00:00:00Z"))
def test_any_two_instants_keep_their_order(name: str, one: Instant, other: Instant) -> None:
    limit = LIMITS[name]
    earlier, later = sorted((one, other))
    assert limit(earlier) <= limit(later)


@given(within, st.integers(-60, 60))
def test_nobody_gets_less_than_the_clause_says(at: Instant, months: int) -> None:
    """Where the month has the day, the same day and time; where it has not, no instant of that month is too late."""
    limit = add_months(at, months)
    days = calendar.monthrange(limit.year, limit.month)[1]
    assert (limit.year * 12 + limit.month) - (at.year * 12 + at.month) == months
    if at.day <= days:
        assert (limit.day, limit.time()) == (at.day, at.time())
    else:
        assert (limit + TICK) == datetime(limit.year, limit.month, days, tzinfo=UTC) + timedelta(days=1)


@pytest.mark.parametrize(
    ("automatic_date", "expected"),
    [
        ("2027-03-28T12:00:00Z", "2027-02-28T12:00:00Z"),
        ("2027-03-29T12:00:00Z", "2027-02-28T23:59:59.999999Z"),
        ("2027-03-31T00:00:00Z", "2027-02-28T23:59:59.999999Z"),
        ("2027-04-01T00:00:00Z", "2027-03-01T00:00:00Z"),
        ("2028-03-29T12:00:00Z", "2028-02-29T12:00:00Z"),
        ("2028-03-30T00:00:00Z", "2028-02-29T23:59:59.999999Z"),
    ],
)
def test_the_cut_off_at_the_end_of_february(automatic_date: str, expected: str) -> None:
    assert cut_off(parse_instant(automatic_date)) == parse_instant(expected)


@pytest.mark.parametrize(
    ("notified_at", "expected"),
    [
        ("2026-08-28T12:00:00Z", "2027-02-28T12:00:00Z"),
        ("2026-08-29T12:00:00Z", "2027-02-28T23:59:59.999999Z"),
        ("2026-08-31T00:00:00Z", "2027-02-28T23:59:59.999999Z"),
        ("2026-09-01T00:00:00Z", "2027-03-01T00:00:00Z"),
        ("2027-08-29T12:00:00Z", "2028-02-29T12:00:00Z"),
    ],
)
def test_six_months_at_the_end_of_february(notified_at: str, expected: str) -> None:
    assert latest_automatic_date(parse_instant(notified_at)) == parse_instant(expected)
