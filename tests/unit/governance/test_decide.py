"""What may be decided next: the table of modes, who must confirm, the dates at their boundaries, the line of epochs."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chfw_common.kernel.instants import parse_instant
from chfw_common.kernel.months import latest_automatic_date
from chfw_common.kernel.rollout import ENDS, HALTS, Mode
from chfw_common.kernel.waves import Wave, WaveFault, fault_in, may_delay
from chfw_governance.domain.decide import Decided, Notice, Proposal, Refusal, Standing, decide, hold_for_cpl

NOW = parse_instant("2026-10-01T09:00:00Z")
D = parse_instant("2027-03-31T12:00:00Z")
TICK = timedelta(microseconds=1)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
HELD = Standing(0, 0, Mode.HELD, NOW - WEEK, D)
NOTICE = Notice(WEEK, WEEK)


def decided(standing: Standing, mode: Mode, **changes: object) -> Decided | Refusal | WaveFault:
    """After a pilot that has shown something."""
    return decide(standing, proposed(mode, **changes), NOW, NOTICE, pilot_tried=True)


def untried(standing: Standing, mode: Mode, **changes: object) -> Decided | Refusal | WaveFault:
    """After a pilot that has shown nothing."""
    return decide(standing, proposed(mode, **changes), NOW, NOTICE, pilot_tried=False)


def proposed(mode: Mode, **changes: object) -> Proposal:
    return replace(Proposal(mode, "because", confirmed_by="the Panel"), **changes)  # type: ignore[arg-type]


def at(mode: Mode, paused_from: Mode | None = None) -> Standing:
    return Standing(5, 2, mode, NOW - WEEK, D, (), paused_from, confirmed=True)


PAUSED = {mode: at(Mode.PAUSE, mode) for mode in (Mode.HELD, Mode.PILOT, Mode.RUN)}
SAME, NO, ENDED, FIRST = (
    Refusal.NOTHING_CHANGES,
    Refusal.TRANSITION_REFUSED,
    Refusal.RELEASE_ENDED,
    Refusal.PILOT_FIRST,
)
MODES = [Mode.HELD, Mode.PILOT, Mode.RUN, Mode.PAUSE, Mode.STOP, Mode.REVOKED]
TABLE: list[tuple[Standing, list[Refusal | None]]] = [
    #                   held  pilot run    pause stop  revoked
    (at(Mode.HELD), [SAME, None, FIRST, None, None, None]),
    (at(Mode.PILOT), [None, SAME, None, None, None, None]),
    (at(Mode.RUN), [None, NO, SAME, None, None, None]),
    (PAUSED[Mode.HELD], [None, None, FIRST, SAME, None, None]),
    (PAUSED[Mode.PILOT], [None, None, None, SAME, None, None]),
    (PAUSED[Mode.RUN], [None, NO, None, SAME, None, None]),
    (at(Mode.STOP), [ENDED] * 6),
    (at(Mode.REVOKED), [ENDED] * 6),
]


@pytest.mark.parametrize(("standing", "row"), TABLE)
def test_which_mode_may_follow_which(standing: Standing, row: list[Refusal | None]) -> None:
    for mode, expected in zip(MODES, row, strict=True):
        found = decided(standing, mode)
        assert (found if isinstance(found, Refusal) else None) is expected, mode


@pytest.mark.parametrize(
    ("standing", "mode", "changes", "refused"),
    [
        (at(Mode.RUN), Mode.PAUSE, {}, False),
        (at(Mode.RUN), Mode.HELD, {}, False),
        (at(Mode.RUN), Mode.REVOKED, {}, False),
        (at(Mode.PILOT), Mode.RUN, {}, False),
        (at(Mode.RUN), Mode.RUN, {"automatic_date": D - WEEK}, False),
        (at(Mode.RUN), Mode.STOP, {}, True),
        (at(Mode.RUN), Mode.RUN, {"automatic_date": D + TICK}, True),
        (PAUSED[Mode.RUN], Mode.RUN, {}, True),
        (PAUSED[Mode.PILOT], Mode.PILOT, {}, True),
    ],
)
def test_what_the_panel_must_confirm(standing: Standing, mode: Mode, changes: dict[str, object], refused: bool) -> None:
    found = decided(standing, mode, **{"confirmed_by": None, **changes})
    assert (found is Refusal.CONFIRMATION_REQUIRED) is refused


@pytest.mark.parametrize("standing", [at(Mode.PILOT), PAUSED[Mode.PILOT]])
def test_a_pilot_that_has_shown_nothing_is_followed_by_everybody_only_for_a_reason(standing: Standing) -> None:
    assert untried(standing, Mode.RUN) is Refusal.PILOT_UNTRIED
    found = untried(standing, Mode.RUN, without_pilot="It mends a fault that disconnects homes.")
    assert isinstance(found, Decided)
    assert found.without_pilot == "It mends a fault that disconnects homes."
    assert decided(standing, Mode.RUN, without_pilot="whatever") is Refusal.PILOT_TRIED


@pytest.mark.parametrize("mode", MODES)
def test_a_reason_to_run_without_a_pilot_belongs_to_no_other_decision(mode: Mode) -> None:
    for standing in (at(Mode.RUN), PAUSED[Mode.RUN]):
        moved = untried(standing, mode, without_pilot="whatever", automatic_date=D - WEEK)
        assert moved in (Refusal.PILOT_TRIED, NO)
    assert isinstance(untried(PAUSED[Mode.RUN], Mode.RUN), Decided), "its pilot is long over"


def test_an_emergency_suspension_is_confirmed_later_without_a_new_halt() -> None:
    suspended = decided(at(Mode.RUN), Mode.PAUSE, confirmed_by=None)
    assert isinstance(suspended, Decided)
    assert suspended.min_epoch == suspended.epoch == 6
    confirmed = decided(suspended.standing, Mode.PAUSE)
    assert isinstance(confirmed, Decided)
    assert (confirmed.epoch, confirmed.min_epoch, confirmed.paused_from) == (7, 6, Mode.RUN)
    assert decided(confirmed.standing, Mode.PAUSE) is Refusal.NOTHING_CHANGES


@pytest.mark.parametrize("mode", [Mode.PILOT, Mode.RUN])
def test_a_cpl_entry_that_is_not_active_any_more_holds_what_may_go(mode: Mode) -> None:
    """It halts like any hold, nothing goes while it is not Active, and the DCC alone decides to go on where it was."""
    gone = replace(at(mode), cpl_active=False)
    held = hold_for_cpl(gone, "Withdrawn", NOW)
    assert held is not None
    assert (held.epoch, held.min_epoch, held.mode, held.mode_since) == (6, 6, Mode.HELD, NOW)
    assert (held.reason, held.automatic_date) == ("The CPL entry is Withdrawn.", D)
    assert hold_for_cpl(held.standing, "Withdrawn", NOW) is None
    for wanted in (Mode.PILOT, Mode.RUN):
        assert decided(held.standing, wanted) is Refusal.CPL_NOT_ACTIVE
    active = replace(held.standing, cpl_active=True)
    assert isinstance(decided(active, mode, confirmed_by=None), Decided)
    dated = decided(active, Mode.HELD, automatic_date=D - WEEK)
    assert isinstance(dated, Decided)
    assert isinstance(decided(dated.standing, mode), Decided)
    paused = decided(active, Mode.PAUSE)
    assert isinstance(paused, Decided)
    assert decided(paused.standing, mode, confirmed_by=None) is Refusal.CONFIRMATION_REQUIRED
    assert isinstance(decided(paused.standing, mode), Decided)


@pytest.mark.parametrize("mode", [Mode.HELD, Mode.PAUSE, Mode.STOP, Mode.REVOKED])
def test_where_nothing_may_go_the_cpl_holds_nothing(mode: Mode) -> None:
    assert hold_for_cpl(replace(at(mode), cpl_active=False), "Expired", NOW) is None
    assert hold_for_cpl(at(Mode.RUN), "Active", NOW) is None


def test_going_on_after_the_cpl_held_over_the_date_needs_a_new_one() -> None:
    held = hold_for_cpl(replace(at(Mode.RUN), cpl_active=False, automatic_date=NOW), "Withdrawn", NOW)
    assert held is not None
    assert decided(replace(held.standing, cpl_active=True), Mode.RUN) is Refusal.NEW_DATE_REQUIRED


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        (NOW, Refusal.DATE_IN_PAST),
        (NOW + TICK, None),
        (latest_automatic_date(NOW), None),
        (latest_automatic_date(NOW) + TICK, Refusal.DATE_TOO_LATE),
    ],
)
def test_a_date_is_in_the_future_and_within_six_months_of_a_delay(date: object, expected: Refusal | None) -> None:
    found = decided(at(Mode.RUN), Mode.RUN, automatic_date=date)
    assert (found if isinstance(found, Refusal) else None) is expected


def test_going_on_after_the_date_needs_a_new_one_far_enough_ahead() -> None:
    overdue = replace(PAUSED[Mode.RUN], automatic_date=NOW)
    assert decided(overdue, Mode.RUN) is Refusal.NEW_DATE_REQUIRED
    assert decided(overdue, Mode.RUN, automatic_date=NOW + WEEK - TICK) is Refusal.NEW_DATE_REQUIRED
    assert isinstance(decided(overdue, Mode.RUN, automatic_date=NOW + WEEK), Decided)


WAVE_1, WAVE_2 = Wave("first", NOW - DAY, NOW + 40 * DAY), Wave("second", NOW + 47 * DAY, NOW + 90 * DAY)
WAVED = replace(at(Mode.RUN), waves=(WAVE_1, WAVE_2))
DONE = replace(WAVE_1, opens=NOW - 60 * DAY, automatic_date=NOW)


@pytest.mark.parametrize(
    ("standing", "mode", "waves", "refused"),
    [
        (WAVED, Mode.RUN, (WAVE_1, WAVE_2), Refusal.NOTHING_CHANGES),
        (WAVED, Mode.RUN, (WAVE_1, replace(WAVE_2, opens=WAVE_2.opens + TICK)), None),
        (WAVED, Mode.RUN, (WAVE_1, replace(WAVE_2, opens=WAVE_2.opens - TICK)), WaveFault.NO_SOAK),
        (WAVED, Mode.RUN, (replace(WAVE_1, automatic_date=NOW), WAVE_2), Refusal.DATE_IN_PAST),
        (WAVED, Mode.RUN, (WAVE_1, replace(WAVE_2, automatic_date=D)), None),
        (WAVED, Mode.RUN, (WAVE_1, replace(WAVE_2, automatic_date=D + TICK)), WaveFault.AFTER_DATE),
        (WAVED, Mode.RUN, (WAVE_1, replace(WAVE_2, automatic_date=D + 7 * DAY)), Refusal.DATE_TOO_LATE),
        (WAVED, Mode.RUN, (), None),
        (replace(WAVED, waves=(DONE, WAVE_2)), Mode.RUN, (DONE, replace(WAVE_2, opens=NOW + 50 * DAY)), None),
        (replace(WAVED, waves=(DONE, WAVE_2), mode=Mode.PILOT), Mode.RUN, None, Refusal.NEW_DATE_REQUIRED),
        (replace(PAUSED[Mode.RUN], waves=(DONE, WAVE_2)), Mode.RUN, None, Refusal.NEW_DATE_REQUIRED),
        (replace(PAUSED[Mode.RUN], waves=(DONE, WAVE_2)), Mode.RUN, (WAVE_2,), None),
        (
            replace(PAUSED[Mode.RUN], waves=(DONE,)),
            Mode.RUN,
            (replace(DONE, automatic_date=NOW + WEEK - TICK),),
            Refusal.NEW_DATE_REQUIRED,
        ),
        (replace(PAUSED[Mode.RUN], waves=(DONE,)), Mode.RUN, (replace(DONE, automatic_date=NOW + WEEK),), None),
        (replace(WAVED, waves=(DONE, WAVE_2)), Mode.PAUSE, None, None),
    ],
)
def test_the_dates_of_waves(
    standing: Standing, mode: Mode, waves: tuple[Wave, ...] | None, refused: Refusal | WaveFault | None
) -> None:
    """Each wave's D like that of the release: ahead, within six months of a delay, and new where going on needs it."""
    found = decided(standing, mode, waves=waves)
    assert (None if isinstance(found, Decided) else found) is refused


def test_a_date_brought_forward_may_not_overtake_a_wave() -> None:
    """Then the waves are stated anew."""
    forward = WAVE_2.automatic_date - TICK
    assert decided(WAVED, Mode.RUN, automatic_date=forward) is WaveFault.AFTER_DATE
    both = decided(WAVED, Mode.RUN, automatic_date=forward, waves=(WAVE_1, replace(WAVE_2, automatic_date=forward)))
    assert isinstance(both, Decided)
    assert (both.min_epoch, both.mode_since) == (WAVED.min_epoch, WAVED.mode_since)


def test_a_wave_that_may_come_later_halts_and_is_confirmed() -> None:
    later = (WAVE_1, replace(WAVE_2, opens=WAVE_2.opens + DAY))
    assert decided(WAVED, Mode.RUN, waves=later, confirmed_by=None) is Refusal.CONFIRMATION_REQUIRED
    found = decided(WAVED, Mode.RUN, waves=later)
    assert isinstance(found, Decided)
    assert found.min_epoch == found.epoch
    sooner = decided(WAVED, Mode.RUN, waves=(replace(WAVE_1, automatic_date=NOW + 39 * DAY), WAVE_2), confirmed_by=None)
    assert isinstance(sooner, Decided)
    assert sooner.min_epoch == WAVED.min_epoch


def test_a_decision_on_an_older_view_is_refused() -> None:
    assert decided(at(Mode.RUN), Mode.PAUSE, expected_epoch=4) is Refusal.EPOCH_MOVED
    assert isinstance(decided(at(Mode.RUN), Mode.PAUSE, expected_epoch=5), Decided)


dates = st.none() | st.integers(-5, 190).map(lambda days: NOW + timedelta(days=days))
days = st.integers(-5, 190)
waves = st.builds(
    lambda name, opens, lasts, region: Wave(name, NOW + opens * DAY, NOW + (opens + lasts) * DAY, (region,)),
    st.sampled_from("abc"),
    days,
    st.integers(0, 30),
    st.sampled_from(["North", "South"]),
)
proposals = st.builds(
    Proposal,
    st.sampled_from(MODES),
    st.just("because"),
    dates,
    st.none() | st.lists(waves, max_size=3, unique_by=lambda wave: wave.name).map(tuple),
    st.none() | st.just("the Panel"),
    st.none() | st.integers(0, 3),
)


@settings(deadline=None)
@given(st.lists(proposals, max_size=30))
def test_whatever_is_proposed_the_line_has_no_gaps_and_the_halt_is_never_newer(wanted: list[Proposal]) -> None:
    standing, piloted = HELD, False
    for proposal in wanted:
        found = decide(standing, proposal, NOW, NOTICE, pilot_tried=True)
        if not isinstance(found, Decided):
            continue
        assert standing.mode not in ENDS
        assert found.epoch == standing.epoch + 1
        halted = (found.mode in HALTS and found.mode is not standing.mode) or (
            found.automatic_date > standing.automatic_date or may_delay(standing.waves, found.waves)
        )
        assert fault_in(found.waves, found.automatic_date, soak=WEEK, now=NOW) is None
        assert found.mode_since == (standing.mode_since if found.mode is standing.mode else NOW)
        assert found.min_epoch == (found.epoch if halted else standing.min_epoch)
        piloted |= found.mode is Mode.PILOT
        assert found.mode is not Mode.RUN or piloted
        standing = found.standing
