"""How finely the instants of the consent rules are counted: no finer than a second Party may see (ADR 0074)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.instants import parse_instant
from chfw_common.kernel.rollout import AnswerKind, Group
from chfw_scheduler.domain.merge import Answer, Terms
from tests.unit.scheduler.test_merge import (
    ALONE,
    DAY,
    EARLY,
    ELEC,
    GAS,
    MANDATORY,
    MIDNIGHT,
    QUARTER,
    RECEIVED,
    TICK,
    VOLUNTARY,
    instruct,
    planned,
)


@given(st.integers(0, 86_400_000_000 - 1), st.integers(0, 30 * 86_400_000_000), st.sampled_from([VOLUNTARY, MANDATORY]))
def test_the_time_of_day_of_an_instruction_is_in_no_date(micros: int, ahead: int, terms: Terms) -> None:
    """Two instructions of one day and for one time give the same plan, but for the answers themselves; what is shown
    keeps the least time to answer and the lead."""
    day, stated = RECEIVED.replace(hour=0), RECEIVED + DAY + ahead * TICK
    received = day + max(micros, 1) * TICK
    found = planned(instruct(GAS, stated, at=received), terms=terms)
    other = planned(instruct(GAS, stated, at=day + TICK), terms=terms)
    assert found._replace(counting=()) == other._replace(counting=())
    if found.answer_by is not None:
        assert found.answer_by.time() == MIDNIGHT.time()
        assert found.answer_by >= received + 3 * DAY
        assert found.answer_by <= max(stated + QUARTER - 14 * DAY, received + 4 * DAY)


@pytest.mark.parametrize(
    ("stated", "counts"),
    [("02:00:00", "02:00"), ("02:00:00.000001", "02:15"), ("02:07:30", "02:15"), ("02:15:00", "02:15")],
)
def test_a_stated_time_counts_from_the_next_quarter_of_an_hour(stated: str, counts: str) -> None:
    """Never before it; of two stated times the later one counts, and who agreed keeps the time shown (R3-5)."""
    time, counted = parse_instant(f"2027-01-20T{stated}Z"), parse_instant(f"2027-01-20T{counts}:00Z")
    lone = planned(instruct(GAS, time))
    assert (lone.proposed_at, lone.activate_at) == (counted, counted)
    assert planned(instruct(GAS, time), instruct(ELEC, time - TICK)).activate_at == counted
    assert planned(instruct(GAS, time), instruct(ELEC, EARLY)).activate_at == counted
    agreed = Answer(ELEC, 1, AnswerKind.AGREE, Group.SAFE_LAUNCH, RECEIVED, time)
    assert planned(agreed, by=ALONE).activate_at == time
