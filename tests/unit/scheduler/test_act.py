"""What is done with a hub that is due: claims, cancellations, the passing of time."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import HubState, Mode
from chfw_common.kernel.waves import Wave
from chfw_scheduler.domain.act import (
    Arm,
    Cancel,
    Distribute,
    Read,
    call_back,
    claim,
    claim_if_due,
    next_counter,
    pass_time,
)
from chfw_scheduler.domain.facts import ArmResult, Facts
from chfw_scheduler.domain.rollout import Decision, Rollout
from chfw_scheduler.domain.state import show
from tests.unit.scheduler.test_state import (
    ARMED,
    ARMING,
    BLANK,
    CALL_REFUSED,
    CALLED,
    CUT_OFF,
    DAY,
    ELEC,
    FAILED,
    GAS,
    HOUR,
    MANDATORY,
    ROLLOUT,
    SENT,
    SILENT,
    STOPPED,
    THERE,
    TICK,
    D,
    S,
    T,
    facts,
    row,
    said,
    under,
)

NOW = T - DAY
MS = int(NOW.timestamp() * 1000)


def state_of(given: Facts, rollout: Rollout = ROLLOUT) -> HubState:
    return show(given, rollout).state


@pytest.mark.parametrize("given", [row(), row(delivery=FAILED)], ids=["first", "again"])
def test_a_claim_hands_the_image_over_under_the_epoch_in_force(given: Facts) -> None:
    """Distribution, also after a failure, counts a try and carries the epoch (I6)."""
    after, action = claim(given, state_of(given), ROLLOUT, NOW)
    assert action == Distribute()
    assert (after.delivery.epoch, after.delivery.at, after.delivery.tries) == (2, NOW, given.delivery.tries + 1)
    assert state_of(after) is S.DISTRIBUTING


@pytest.mark.parametrize(
    ("planned", "now", "fires"),
    [
        (T, T - DAY, T),
        (T, T - HOUR, T),
        (T, T - HOUR + TICK, T + TICK),
        (T, T + 5 * DAY, T + 5 * DAY + HOUR),
        (None, T, T + HOUR),
    ],
    ids=["in the window", "just in time", "too near", "past: late", "asap"],
)
def test_arming_is_future_dated_and_never_before_the_planned_time(
    planned: Instant | None, now: Instant, fires: Instant
) -> None:
    """CS06 gives at least the shortest notice (I5)."""
    answers = (said(ELEC, at=planned), said(GAS, at=planned))
    ready = facts(delivery=THERE, consent={"answers": answers})
    after, action = claim(ready, S.DELIVERED, ROLLOUT, now)
    assert isinstance(action, Arm)
    assert (action.activate_at, after.arming.fires_at) == (fires, fires)
    assert after.arming.planned_for == (fires if planned is None else planned)
    assert (after.arming.epoch, after.arming.counter) == (2, action.counter)
    assert state_of(after) is S.ARMING


def test_as_soon_as_may_be_is_not_before_the_group_opens() -> None:
    """A hub without a stated time waits for the opening of its wave; armed early, it fires then."""
    waved = replace(ROLLOUT, waves=(Wave("late", T, D - DAY),))
    ready = facts(delivery=THERE, consent={"answers": (said(ELEC, at=None), said(GAS, at=None))})
    assert show(ready, ROLLOUT).claim_at == THERE["delivered_at"]
    assert show(ready, waved).claim_at == T - DAY
    _, action = claim(ready, S.DELIVERED, waved, T - DAY)
    assert isinstance(action, Arm)
    assert action.activate_at == T
    _, action = claim(ready, S.DELIVERED, waved, T + DAY)
    assert isinstance(action, Arm)
    assert action.activate_at == T + DAY + HOUR


def test_time_passes_by_the_dates_of_the_wave() -> None:
    """D of the wave opens the distribution, and what is overdue by it is not claimed."""
    early = D - 60 * DAY
    waved = replace(ROLLOUT, waves=(Wave("early", T - 9 * DAY, early),))
    lead = early - waved.pacing.automatic_lead
    shown = show(BLANK, waved)
    assert (shown.wave, shown.activate_at, shown.check_at) == ("early", early, lead)
    due, _ = pass_time(BLANK, S.ELIGIBLE, waved, lead)
    assert due.consent.automatic_due == early
    assert (show(due, waved).state, show(due, waved).claim_at) == (S.SCHEDULED, lead)
    assert show(due, ROLLOUT).state is S.ELIGIBLE
    overdue = replace(waved, decision=Decision(2, 1, Mode.RUN, early))
    assert show(due, overdue).claim_at is None
    assert claim_if_due(due, show(due, overdue), overdue, early + DAY) == (due, None)


@pytest.mark.parametrize("state", set(HubState) - {
    S.SCHEDULED, S.DELIVERY_FAILED, S.DELIVERED, S.ACTIVATION_FAILED, S.NOT_APPLIED,
})  # fmt: skip
def test_nothing_else_is_claimed(state: HubState) -> None:
    """A state that is not due gives no action."""
    assert claim(BLANK, state, ROLLOUT, NOW) == (BLANK, None)


def test_a_claim_begins_a_new_conversation() -> None:
    """An old silence does not make the hub silent again, even if its late word was older than it."""
    late_alert = {**ARMED, "outcome": 3, "outcome_at": T, "tries": 1}
    silent = under(late_alert, silence={**SILENT, "unreachable_at": T + 4 * DAY, "last_word_at": T})
    after, _ = claim(silent, state_of(silent), ROLLOUT, T + 5 * DAY)
    assert state_of(after) is S.ARMING
    assert (after.silence.since, after.silence.reads, after.silence.read_counter) == (None, 0, 12)


def test_counters_grow_whatever_the_clock_says() -> None:
    """Arm, cancel and read share one originator counter (GBCS replay protection)."""
    assert next_counter(BLANK, NOW) == MS
    for group in ({"arming": {"counter": MS}}, {"arming": {"cancel_counter": MS}}, {"silence": {"read_counter": MS}}):
        assert next_counter(facts(**group), NOW) == MS + 1
        assert next_counter(facts(**group), NOW - DAY) == MS + 1


def halted(mode: Mode, epoch: int = 3) -> Rollout:
    return replace(ROLLOUT, decision=Decision(epoch, epoch, mode, NOW))


RESUMED = replace(ROLLOUT, decision=Decision(4, 3, Mode.RUN, NOW))
WITHHELD = {**ARMING, "ended": ArmResult.WITHHELD, "ended_at": NOW, "reason": "stale_epoch"}
REFUSED_A_SECOND_AGO = {**CALL_REFUSED, "cancel_refused_at": NOW - timedelta(seconds=1)}
CANCELS: list[tuple[str, dict[str, Any], Rollout, bool, Mode | None]] = [
    ("armed, pause", ARMED, halted(Mode.PAUSE), True, Mode.PAUSE),
    ("armed, stop", ARMED, halted(Mode.STOP), True, Mode.STOP),
    ("armed, a later D", ARMED, halted(Mode.RUN), True, Mode.RUN),
    ("armed before a pause that is over", ARMED, RESUMED, True, Mode.RUN),
    ("armed since", {**ARMED, "epoch": 3}, RESUMED, False, None),
    ("not halted", ARMED, ROLLOUT, False, None),
    ("called back already", CALLED, halted(Mode.PAUSE), False, Mode.PAUSE),
    ("called back by a pause, stopped now", CALLED, halted(Mode.STOP), False, Mode.STOP),
    ("stopped, revoked now", {**CALLED, "cancel_for": Mode.STOP}, halted(Mode.REVOKED), False, Mode.STOP),
    ("the edge refused it", REFUSED_A_SECOND_AGO, halted(Mode.STOP), True, Mode.STOP),
    ("the edge refused it just now", {**CALL_REFUSED, "cancel_refused_at": NOW}, halted(Mode.STOP), False, Mode.STOP),
    ("refused before a new halt", REFUSED_A_SECOND_AGO, halted(Mode.PAUSE), True, Mode.PAUSE),
    ("too late", {**CALLED, "too_late_at": T}, halted(Mode.STOP), False, Mode.PAUSE),
    ("refused by the hub", {**ARMED, "ended": ArmResult.REFUSED}, halted(Mode.STOP), False, None),
    ("withheld by the edge, a copy may have passed", WITHHELD, halted(Mode.STOP), True, Mode.STOP),
    ("withheld by the edge since the halt", {**WITHHELD, "epoch": 3}, RESUMED, False, None),
    ("carried out", {**ARMED, "outcome": 0}, halted(Mode.STOP), False, None),
]


@pytest.mark.parametrize(
    ("arming", "rollout", "sends", "reason"), [line[1:] for line in CANCELS], ids=[line[0] for line in CANCELS]
)
def test_call_back(arming: dict[str, Any], rollout: Rollout, sends: bool, reason: Mode | None) -> None:
    """What is older than the last halt and may still fire, each once."""
    before = under(arming)
    after, action = call_back(before, rollout, NOW)
    assert after.arming.cancel_for == reason
    if sends:
        assert isinstance(action, Cancel)
        assert action.cancels == before.arming.counter
        assert action.counter == after.arming.cancel_counter > before.last_counter
        assert state_of(after, rollout) is S.CANCELLING
    else:
        assert action is None


EXPECTED_TO_SPEAK = [row(delivery=SENT), under(ARMED), under(CALLED), under({**CALLED, "too_late_at": T})]


@pytest.mark.parametrize("given", EXPECTED_TO_SPEAK, ids=["distributing", "armed", "cancelling", "too late"])
def test_silence_then_reads_a_day_apart_then_unreachable(given: Facts) -> None:
    """No word: the hub is read, as often as the setting says, then it is unreachable and stays so."""
    now = show(given, ROLLOUT).check_at
    counters = []
    for reads in (1, 2, 3):
        assert now is not None
        given, action = pass_time(given, state_of(given), ROLLOUT, now)
        assert isinstance(action, Read)
        counters.append(action.counter)
        assert (state_of(given), given.silence.reads) == (S.SILENT, reads)
        assert show(given, ROLLOUT).check_at == now + DAY
        now += DAY
    assert now is not None
    given, action = pass_time(given, S.SILENT, ROLLOUT, now)
    assert action is None
    assert (state_of(given), show(given, ROLLOUT).check_at) == (S.UNREACHABLE, None)
    assert counters == sorted(set(counters))


@pytest.mark.parametrize("rollout", [ROLLOUT, MANDATORY], ids=["voluntary", "mandatory"])
def test_waits_end_only_when_they_are_over(rollout: Rollout) -> None:
    """A microsecond after answer_by, and when the lead of D begins."""
    lone = facts(consent={"answers": (said(ELEC),)})
    by = (T - 14 * DAY).replace(hour=0)
    assert pass_time(lone, S.AWAITING_CONSENT, rollout, by)[0] is lone
    after, action = pass_time(lone, S.AWAITING_CONSENT, rollout, by + TICK)
    assert action is None
    assert state_of(after, rollout) is (S.SCHEDULED if rollout is ROLLOUT else S.AWAITING_CONSENT)
    assert pass_time(lone, S.AWAITING_CONSENT, rollout, D - 28 * DAY - TICK)[0].consent.automatic_due is None
    near, _ = pass_time(lone, S.AWAITING_CONSENT, rollout, D - 28 * DAY)
    assert (near.consent.automatic_due, state_of(near, rollout)) == (D, S.SCHEDULED)


instants = st.integers(0, 24 * 200).map(lambda hours: T - 70 * DAY + hours * HOUR)


@given(instants, st.sampled_from(["late", "none", "agreed", "lone"]), instants)
def test_a_due_check_always_moves_on(now: Instant, said_by: str, word: Instant) -> None:
    """However late a tick comes, it writes something that puts the next check after it: no tick runs hot."""
    answers = {"late": (said(ELEC, at=None),), "none": (), "agreed": (said(ELEC), said(GAS)), "lone": (said(ELEC),)}
    given = facts(consent={"answers": answers[said_by]}, silence={"last_word_at": word})
    for start in (given, given._replace(delivery=row(delivery=SENT).delivery)):
        found = start
        for _ in range(8):
            due = show(found, ROLLOUT).check_at
            if due is None or due > now:
                break
            found, _action = pass_time(found, state_of(found), ROLLOUT, now)
        else:
            raise AssertionError("the same check is due again and again")


def test_in_an_ended_release_time_makes_no_consent() -> None:
    """Hubs that were never armed keep their state."""
    assert show(BLANK, STOPPED).check_at is None
    assert D - timedelta(days=28) + DAY > CUT_OFF
