"""The dates of a notice at their boundaries."""

from datetime import timedelta
from typing import Any

import pytest

from chfw_common.kernel.instants import Instant, parse_instant
from chfw_common.kernel.months import cut_off
from chfw_common.kernel.waves import Wave, WaveFault
from chfw_notifier.domain.notice import Dates, Refusal, set_dates

NOW = parse_instant("2026-08-31T09:00:00Z")
LATEST = parse_instant("2027-02-28T23:59:59.999999Z")
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)


def dated(
    automatic_date: Instant,
    opens: Instant | None = None,
    closes: Instant | None = None,
    *waves: Wave,
    active: bool = True,
) -> Dates | Refusal | WaveFault:
    return set_dates(
        cpl_active=active,
        automatic_date=automatic_date,
        pilot_opens=opens,
        pilot_closes=closes,
        waves=waves,
        soak=7 * DAY,
        now=NOW,
    )


def wave(name: str, opens: int, date: int, **changes: Any) -> Wave:
    return Wave(name, NOW + opens * DAY, NOW + date * DAY, **changes)


FIRST, SECOND = wave("first", 30, 60, share_below=500), wave("second", 67, 90, regions=("North",))


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
        (dated(LATEST, None, None, FIRST, SECOND), None),
        (dated(LATEST, None, None, wave("past", -2, 0)), Refusal.DATE_IN_PAST),
        (dated(LATEST, None, NOW + 31 * DAY, FIRST), Refusal.PILOT_AFTER_CUT_OFF),
        (dated(LATEST, None, NOW + 31 * DAY, SECOND), None),
        (dated(LATEST, None, NOW + 31 * DAY, wave("too short to instruct", 20, 29)), None),
        (dated(LATEST, None, None, FIRST, wave("second", 66, 90)), WaveFault.NO_SOAK),
        (dated(LATEST, None, None, FIRST, wave("first", 67, 90)), WaveFault.SAME_NAME),
    ],
)
def test_each_date(found: Dates | Refusal | WaveFault, expected: Refusal | WaveFault | None) -> None:
    assert (None if isinstance(found, Dates) else found) is expected


def test_an_instruction_is_possible_up_to_the_cut_off() -> None:
    exactly = Dates(NOW, NOW + DAY, NOW + 2 * DAY, parse_instant("2026-09-30T09:00:00Z"))
    assert cut_off(exactly.automatic_date) == parse_instant("2026-08-30T09:00:00Z")
    assert exactly.first_cut_off is None
    assert Dates(NOW, NOW, NOW + DAY, parse_instant("2026-10-31T09:00:00Z")).first_cut_off == parse_instant(
        "2026-09-30T23:59:59.999999Z"
    )


def test_the_pilot_takes_its_days_from_the_notice() -> None:
    found = dated(LATEST)
    assert isinstance(found, Dates)
    assert (found.pilot_opens, found.pilot_closes) == (NOW + 14 * DAY, NOW + 28 * DAY)
