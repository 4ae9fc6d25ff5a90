"""Where services use a limit in months: a later D takes no answer away, a later notice no date (ADR 0054)."""

from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from chfw_common.kernel.applicability import Image
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.instants import Instant, parse_instant
from chfw_common.kernel.rollout import AnswerKind, Group, Mode, Rule
from chfw_common.kernel.waves import Wave
from chfw_common.runtime.http.waves import show_waves
from chfw_governance.domain import decide as governance
from chfw_instruction.domain.verdict import Asked, Verdict
from chfw_notifier.domain import notice as notifier
from chfw_scheduler.domain.merge import Terms

within = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
DAY = timedelta(days=1)
END_OF_MARCH = (parse_instant("2027-03-29T12:00:00Z"), parse_instant("2027-03-31T00:00:00Z"))
END_OF_AUGUST = (parse_instant("2026-08-29T12:00:00Z"), parse_instant("2026-08-31T00:00:00Z"))


def in_order(one: Instant, other: Instant) -> tuple[Instant, Instant]:
    return min(one, other), max(one, other)


@given(within, within, within)
@example(*END_OF_MARCH, parse_instant("2027-02-28T06:00:00Z"))
def test_intake_takes_under_a_later_date_what_it_takes_under_an_earlier(
    one: Instant, other: Instant, received_at: Instant
) -> None:
    def late(date: Instant) -> bool:
        image = Image("Acme", "CH9", frozenset({"H1"}), "9.2", frozenset(), frozenset())
        asked = Asked(
            PartyId("elec"), UserId("user"), image, date, (), received_at, None, AnswerKind.INSTRUCT, Group.SAFE_LAUNCH,
            received_at, 1,
        )  # fmt: skip
        return asked.refused_by_date(None, pilot=False) is Verdict.AFTER_CUT_OFF

    earlier, later = in_order(one, other)
    assert late(later) <= late(earlier)


@given(within, within, st.none() | within, within)
@example(*END_OF_MARCH, None, END_OF_MARCH[0] - 60 * DAY)
def test_a_lone_instruction_waits_under_a_later_date_no_shorter(
    one: Instant, other: Instant, stated: Instant | None, received_at: Instant
) -> None:
    earlier, later = (Terms(Rule.VOLUNTARY, date, 14 * DAY, 3 * DAY) for date in in_order(one, other))
    assert earlier.cut_off <= later.cut_off
    assert earlier.answer_by(stated, received_at) <= later.answer_by(stated, received_at)


@given(within, within)
@example(*END_OF_MARCH)
def test_what_is_shown_of_waves_keeps_their_order(one: Instant, other: Instant) -> None:
    waves = tuple(Wave("a wave", date - 90 * DAY, date) for date in in_order(one, other))
    earlier, later = (parse_instant(str(shown["cut_off"])) for shown in show_waves(waves))
    assert earlier <= later


@given(within, within, st.integers(0, 200))
@example(*END_OF_AUGUST, 183)
def test_a_later_notice_may_name_every_date_that_an_earlier_one_may(one: Instant, other: Instant, days: int) -> None:
    earlier, later = in_order(one, other)
    date = earlier + days * DAY

    def announced(now: Instant) -> bool:
        found = notifier.set_dates(
            cpl_active=True, automatic_date=date, pilot_opens=None, pilot_closes=None, waves=(), soak=7 * DAY, now=now
        )
        return found is notifier.Refusal.DATE_TOO_LATE

    def delayed(now: Instant) -> bool:
        standing = governance.Standing(1, 1, Mode.RUN, now, now - DAY)
        proposal = governance.Proposal(Mode.RUN, "later", automatic_date=date, confirmed_by="SEC Panel")
        found = governance.decide(standing, proposal, now, governance.Notice(), pilot_tried=True)
        return found is governance.Refusal.DATE_TOO_LATE

    assert announced(later) <= announced(earlier)
    assert delayed(later) <= delayed(earlier)
