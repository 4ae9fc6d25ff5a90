"""The dates of a notice at their boundaries."""

from datetime import timedelta

import pytest

from chfw_common.kernel.instants import Instant, parse_instant
from chfw_common.kernel.months import cut_off
from chfw_notifier.domain.notice import Dates, Refusal, set_dates

NOW = parse_instant("2026-08-31T09:00:00Z")
LATEST = parse_instant("2027-02-28T09:00:00Z")
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)


def dated(
    automatic_date: Instant, opens: Instant | None = None, closes: Instant | None = None, *, active: bool = True
) -> Dates | Refusal:
    return set_dates(cpl_active=active, automatic_date=automatic_date, pilot_opens=opens, pilot_closes=closes, now=NOW)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (dated(LATEST), None),
        (dated(LATEST + TICK), Refusal.DATE_TOO_LATE),
        (dated(NOW), Refusal.DATE_IN_PAST),
        (dated(LATEST, active=False), Refusal.CPL_NOT_ACTIVE),
        (dated(LATEST, opens=NOW), None),
        (dated(LATEST, opens=NOW - TICK), Refusal.PILOT_ORDER),
        (dated(LATEST, opens=NOW + DAY, closes=NOW + DAY), Refusal.PILOT_ORDER),
        (dated(LATEST, closes=cut_off(LATEST) - TICK), None),
        (dated(LATEST, closes=cut_off(LATEST)), Refusal.PILOT_AFTER_CUT_OFF),
        (dated(NOW + 29 * DAY), None),
    ],
)
def test_each_date(found: Dates | Refusal, expected: Refusal | None) -> None:
    assert (found if isinstance(found, Refusal) else None) is expected


def test_an_instruction_is_possible_up_to_the_cut_off() -> None:
    exactly = Dates(NOW, NOW + DAY, NOW + 2 * DAY, parse_instant("2026-09-30T09:00:00Z"))
    assert cut_off(exactly.automatic_date) == parse_instant("2026-08-30T09:00:00Z")
    assert not exactly.instruction_possible
    assert Dates(NOW, NOW, NOW + DAY, parse_instant("2026-10-31T09:00:00Z")).instruction_possible


def test_the_pilot_takes_its_days_from_the_notice() -> None:
    found = dated(LATEST)
    assert isinstance(found, Dates)
    assert (found.pilot_opens, found.pilot_closes) == (NOW + 14 * DAY, NOW + 28 * DAY)
