"""Whether anything may be claimed: mode, the date, the CPL entry."""

from dataclasses import replace

import pytest

from chfw_common.kernel.ids import HubId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import Mode
from chfw_common.kernel.waves import Wave
from chfw_scheduler.domain.rollout import Decision, Rollout
from tests.unit.scheduler.test_state import DAY, RECEIVED, ROLLOUT, TICK, D, T


def decided(mode: Mode, at: Instant = RECEIVED) -> Rollout:
    return replace(ROLLOUT, decision=Decision(2, 1, mode, at))


@pytest.mark.parametrize("mode", Mode)
def test_only_pilot_and_run_let_hubs_go(mode: Mode) -> None:
    """Nothing in held, pause, stop, revoked (I5); a pilot lets pilot hubs go only."""
    assert decided(mode).may_claim == (mode in {Mode.PILOT, Mode.RUN})
    assert decided(mode).pilot_only == (mode is not Mode.RUN)
    assert decided(mode).ended == (mode in {Mode.STOP, Mode.REVOKED})


def test_before_the_first_decision_a_release_is_held() -> None:
    """Epoch 0."""
    assert not replace(ROLLOUT, decision=Decision()).may_claim


def test_overdue_needs_a_new_date() -> None:
    """A decision, or an entry that becomes Active, at D or later lets nothing go; a new D does."""
    assert decided(Mode.RUN, D - TICK).may_claim
    assert not decided(Mode.RUN, D).may_claim
    later = replace(decided(Mode.RUN, D), terms=ROLLOUT.terms._replace(automatic_date=D + TICK))
    assert later.may_claim
    assert not replace(ROLLOUT, cpl_active=False).may_claim
    assert replace(ROLLOUT, cpl_active_since=D - TICK).may_claim
    assert not replace(ROLLOUT, cpl_active_since=D).may_claim
    assert replace(later, cpl_active_since=D).may_claim
    assert (later.overdue(D), later.overdue(D + TICK)) == (True, False)
    assert not replace(ROLLOUT, decision=Decision()).overdue(D)


def test_a_hub_goes_by_the_dates_of_its_wave() -> None:
    """The first that takes it; the rest goes by those of the release."""
    first, second = Wave("first", T - DAY, D - 9 * DAY, ("North",)), Wave("second", T, D - DAY, ("North", "South"))
    waved = replace(ROLLOUT, waves=(first, second))
    north, south, rest = (waved.terms_of(HubId(7), region) for region in ("North", "South", "West"))
    assert (north.wave, north.opens, north.automatic_date) == ("first", T - DAY, D - 9 * DAY)
    assert (south.wave, south.opens, south.automatic_date) == ("second", T, D - DAY)
    assert rest == ROLLOUT.terms
    assert {north.rule, south.rule} == {ROLLOUT.terms.rule}
