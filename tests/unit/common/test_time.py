"""Instants, calendar months, the paced clock and the virtual one."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.instants import (
    InstantRangeError,
    NaiveInstantError,
    ceil_to_grid,
    format_instant,
    parse_instant,
    require_utc,
)
from chfw_common.kernel.months import add_months
from chfw_common.runtime.clock import Pace, PacedClock, RealClock, machine_now
from chfw_common.simulation.clock import VirtualClock

instants = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def at(text: str) -> datetime:
    return parse_instant(text)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(NaiveInstantError):
        require_utc(datetime(2025, 1, 1))  # noqa: DTZ001
    with pytest.raises(NaiveInstantError):
        parse_instant("2025-01-01T00:00:00")


def test_another_zone_is_converted() -> None:
    moved = require_utc(datetime(2025, 7, 1, 1, 30, tzinfo=timezone(timedelta(hours=1))))
    assert moved == at("2025-07-01T00:30:00Z")
    assert moved.tzinfo is UTC


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_what_utc_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(InstantRangeError):
        parse_instant(text)


@given(instants)
def test_text_reads_back(instant: datetime) -> None:
    assert parse_instant(format_instant(instant)) == instant
    assert format_instant(instant).endswith("Z")


@given(instants, st.integers(1, 10**6))
def test_the_grid_is_met_at_once_and_never_early(instant: datetime, seconds: int) -> None:
    grid = timedelta(seconds=seconds)
    met = ceil_to_grid(instant, grid)
    assert timedelta(0) <= met - instant < grid
    assert (met - datetime(1970, 1, 1, tzinfo=UTC)) % grid == timedelta(0)
    assert ceil_to_grid(met, grid) == met


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2025-01-31T10:00:00Z", 1, "2025-02-28T23:59:59.999999Z"),
        ("2024-01-31T10:00:00Z", 1, "2024-02-29T23:59:59.999999Z"),
        ("2025-03-31T23:59:59.999999Z", -1, "2025-02-28T23:59:59.999999Z"),
        ("2025-05-31T00:00:00Z", -1, "2025-04-30T23:59:59.999999Z"),
        ("2025-08-31T00:00:00Z", 6, "2026-02-28T23:59:59.999999Z"),
        ("2025-12-15T00:00:00Z", 1, "2026-01-15T00:00:00Z"),
        ("2025-01-15T00:00:00Z", -1, "2024-12-15T00:00:00Z"),
        ("2024-02-29T00:00:00Z", 12, "2025-02-28T23:59:59.999999Z"),
        ("2025-06-10T00:00:00Z", 0, "2025-06-10T00:00:00Z"),
    ],
)
def test_months_are_of_the_calendar_and_clamped(start: str, months: int, end: str) -> None:
    assert add_months(at(start), months) == at(end)


START = at("2025-01-01T00:00:00Z")
DAY = timedelta(days=1)


def test_a_pace_passes_at_its_rate_and_stops_at_its_hold() -> None:
    pace = Pace(anchor_machine=START, anchor_story=START + DAY, rate=86_400.0, hold_at=START + 11 * DAY)
    assert pace.at(START - DAY) == START + DAY, "before the anchor it stands"
    assert pace.at(START) == START + DAY
    assert pace.at(START + timedelta(seconds=3)) == START + 4 * DAY
    assert pace.at(START + timedelta(seconds=10)) == START + 11 * DAY
    assert pace.at(START + timedelta(hours=1)) == START + 11 * DAY, "it never passes the hold"


def test_a_hold_behind_the_anchor_does_not_turn_time_back() -> None:
    pace = Pace(START, START + DAY, 1.0, hold_at=START)
    assert pace.at(START + DAY) == START + DAY


@given(st.lists(st.integers(0, 10**6), min_size=2))
def test_a_pace_is_monotone(seconds: list[int]) -> None:
    pace = Pace(START, START, 86_400.0, START + 400 * DAY)
    found = [pace.at(START + timedelta(seconds=s)) for s in sorted(seconds)]
    assert found == sorted(found)


def test_a_paced_clock_never_goes_back() -> None:
    now = machine_now()
    clock = PacedClock(Pace(now, START + DAY, 0.0, START + DAY))
    assert clock.now() == START + DAY
    clock._pace = Pace(now, START, 0.0, START)  # noqa: SLF001 - as `follow` does
    assert clock.now() == START + DAY


async def test_the_real_clock_is_the_machines() -> None:
    before = machine_now()
    await RealClock().machine_sleep(0)
    assert before <= RealClock().now() <= machine_now()


async def test_virtual_time_moves_only_forward_and_only_when_told() -> None:
    clock = VirtualClock(START)
    await clock.machine_sleep(1_000_000)
    assert clock.now() == START
    clock.move_to(START + DAY)
    assert clock.now() == START + DAY
    with pytest.raises(ValueError, match="is past"):
        clock.move_to(START)
