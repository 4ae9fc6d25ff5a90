"""What of a quota is spent, and how long until it is not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chfw_common.kernel.instants import parse_instant
from chfw_instruction.domain.quota import Quota, Spent, Used, flowed_off, shown_done, spent, until_free, wait

NOW = parse_instant("2026-10-01T23:59:50.5Z")
QUOTA = Quota(open_requests=2, open_entries=100, entries_burst=60, entries_per_minute=120, entries_per_day=1_000)
FREE = Used(open_requests=1, open_entries=99, entries_standing=59.9, entries_today=999)


@pytest.mark.parametrize(
    ("changes", "over", "seconds"),
    [
        ({}, None, 0),
        ({"open_requests": 2}, Spent.OPEN_REQUESTS, 1),
        ({"open_entries": 100}, Spent.OPEN_ENTRIES, 1),
        ({"open_entries": 45_000}, Spent.OPEN_ENTRIES, 5),
        ({"entries_standing": 60}, Spent.ENTRIES_STANDING, 0),
        ({"entries_standing": 100}, Spent.ENTRIES_STANDING, 20),
        ({"entries_today": 1_000}, Spent.ENTRIES_TODAY, 9.5),
        ({"entries_today": 1_000, "open_requests": 2}, Spent.OPEN_REQUESTS, 1),
    ],
)
def test_the_first_part_that_is_spent(changes: dict[str, int], over: Spent | None, seconds: float) -> None:
    used = replace(FREE, **changes)
    assert spent(QUOTA, used) is over
    if over is not None:
        assert until_free(over, QUOTA, used, NOW) == seconds


def test_what_was_sent_flows_off_with_time_and_never_below_nothing() -> None:
    assert flowed_off(100, 120, NOW, NOW + timedelta(seconds=30)) == 40
    assert flowed_off(100, 120, NOW, NOW + timedelta(minutes=5)) == 0
    assert flowed_off(100, 120, NOW, NOW - timedelta(seconds=1)) == 100, "a clock that went back gives nothing away"


def test_a_wait_is_a_second_at_least_and_an_hour_at_most() -> None:
    assert [wait(entries) for entries in (0, 1, 10_000, 10_001, 10**9)] == [1, 1, 1, 2, 3_600]


def test_the_last_verdict_is_shown_by_whole_minutes_and_not_before_the_request() -> None:
    assert shown_done(NOW, NOW + timedelta(seconds=9)) == NOW
    assert shown_done(NOW, NOW + timedelta(seconds=75)) == parse_instant("2026-10-02T00:01:00Z")
