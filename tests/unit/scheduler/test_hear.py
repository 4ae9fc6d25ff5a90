"""What a row learns, in any order and any number of times."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chfw_common.kernel.hubs import DeviceStatus
from chfw_common.kernel.rollout import AnswerKind, Group, HubState, Mode
from chfw_scheduler.domain import hear
from chfw_scheduler.domain.facts import ArmResult, Facts, Inventory
from chfw_scheduler.domain.merge import Answer
from chfw_scheduler.domain.state import show
from tests.unit.scheduler.test_state import (
    ARMED,
    ARMING,
    BLANK,
    BOTH,
    CALLED,
    DAY,
    ELEC,
    FAILED,
    GAS,
    HOUR,
    MAKE,
    RECEIVED,
    ROLLOUT,
    SENT,
    SILENT,
    STOPPED,
    THERE,
    D,
    S,
    T,
    row,
    said,
    under,
)

Fact = Callable[[Facts], hear.Learnt]
CALLED_BY_STOP = {**CALLED, "cancel_for": Mode.STOP}
COUNTERS = (10, 11, 12, 999, None)


def smi(version: int, firmware: str = "OLD", status: DeviceStatus = DeviceStatus.COMMISSIONED) -> Fact:
    return lambda f: (hear.inventory_says(f, Inventory(version, firmware, status, "North", BOTH, MAKE)), None)


def answer(one: Answer) -> Fact:
    return lambda f: hear.party_says(f, one)


def learn(start: Facts, facts: Sequence[Fact]) -> tuple[Facts, list[str]]:
    kinds = []
    for fact in facts:
        start, anomaly = fact(start)
        show(start, ROLLOUT)
        kinds += [] if anomaly is None else [anomaly.kind]
    return start, kinds


ALERT_OK: Fact = lambda f: hear.outcome(f, 10, 0, T)  # noqa: E731 - one line a fact reads best
ALERT_BAD: Fact = lambda f: hear.outcome(f, 10, 3, T)  # noqa: E731
NO_IMAGE: Fact = lambda f: hear.outcome(f, 10, 1, T)  # noqa: E731
BROKEN_IMAGE: Fact = lambda f: hear.outcome(f, 10, 2, T)  # noqa: E731
ACCEPTED: Fact = lambda f: hear.armed(f, 10, T - DAY)  # noqa: E731
REFUSED: Fact = lambda f: hear.command_refused(f, 10, T - DAY, "permit_expired")  # noqa: E731
CANCELLED: Fact = lambda f: hear.cancelled(f, 11, T - HOUR)  # noqa: E731
CANCEL_REFUSED: Fact = lambda f: hear.command_refused(f, 11, T - HOUR, "stale_epoch")  # noqa: E731
TOO_LATE: Fact = lambda f: hear.cancel_too_late(f, 11, T + HOUR)  # noqa: E731
DELIVERED: Fact = lambda f: hear.delivered(f, T - 8 * DAY)  # noqa: E731
NOT_DELIVERED: Fact = lambda f: hear.delivery_failed(f, T - 8 * DAY, "FileTransferFailure")  # noqa: E731
HANDED_BACK: Fact = lambda f: hear.distribution_refused(f, T - 9 * DAY, 2, "too_early")  # noqa: E731
READ_OLD: Fact = lambda f: hear.version_read(f, 12, T + 2 * DAY, new_firmware=False)  # noqa: E731
READ_NEW: Fact = lambda f: hear.version_read(f, 12, T + 2 * DAY, new_firmware=True)  # noqa: E731

ARMED_SILENT = under(ARMED, silence=SILENT)
ENDS_ALIKE: list[tuple[str, Facts, list[Fact], HubState]] = [
    ("a whole life", row(delivery=SENT, arming=ARMING), [DELIVERED, ACCEPTED, ALERT_OK, smi(2, "NEW")], S.CONFIRMED),
    ("the SMI first, an older record", row(delivery=SENT), [smi(3, "NEW"), smi(2), DELIVERED], S.CONFIRMED),
    ("an alert and a read of the new version", ARMED_SILENT, [ALERT_OK, READ_NEW], S.ACTIVATED),
    ("an alert of failure and a read of the old one", ARMED_SILENT, [ALERT_BAD, READ_OLD], S.ACTIVATION_FAILED),
    ("accepted, and a repeat refused by the edge", under(ARMING), [ACCEPTED, REFUSED], S.ARMED),
    ("cancelled, and read back", under(CALLED_BY_STOP, silence=SILENT), [CANCELLED, READ_OLD], S.CANCELLED),
    ("cancelled before it reached the hub", under({**CALLED_BY_STOP, "accepted_at": None}), [REFUSED, CANCELLED],
     S.CANCELLED),
    ("cancelled and carried out", under(CALLED_BY_STOP), [CANCELLED, ALERT_OK], S.ACTIVATED),
    ("too late, and the alert", under(CALLED), [TOO_LATE, ALERT_OK], S.ACTIVATED),
    ("too late, and it had failed", under(CALLED), [TOO_LATE, ALERT_BAD], S.ACTIVATION_FAILED),
    ("delivered, and a failure of the same try", row(delivery=SENT), [DELIVERED, NOT_DELIVERED], S.DELIVERED),
    ("no image held, and its late delivery report", row(delivery=SENT, arming=ARMED), [NO_IMAGE, DELIVERED],
     S.SCHEDULED),
    ("a broken image, and its late delivery report", row(delivery=SENT, arming=ARMED), [BROKEN_IMAGE, DELIVERED],
     S.SCHEDULED),
    ("the answers of two Parties", BLANK, [answer(said(ELEC)), answer(said(GAS)), answer(said(GAS, seq=2, at=D))],
     S.SCHEDULED),
    ("departed and armed", under(ARMING), [ACCEPTED, smi(2, status=DeviceStatus.DECOMMISSIONED)], S.DEPARTED),
    ("superseded and failed", under(ARMED), [ALERT_BAD, smi(2, "OTHER")], S.SUPERSEDED),
]  # fmt: skip


@pytest.mark.parametrize(
    ("start", "told", "state"), [line[1:] for line in ENDS_ALIKE], ids=[line[0] for line in ENDS_ALIKE]
)
def test_order_and_repeats_do_not_change_the_end(start: Facts, told: list[Fact], state: HubState) -> None:
    """Distinct facts in any order, each any number of times: the same state (ARCHITECTURE section 3)."""

    @settings(max_examples=40)
    @given(st.permutations(told * 2))
    def every(order: list[Fact]) -> None:
        assert show(learn(start, order)[0], ROLLOUT).state is state

    every()


def test_contradictions_are_noted_in_either_order() -> None:
    """A hub that cancelled and carried out all the same (I7, I8)."""
    for order in ([CANCELLED, ALERT_OK], [ALERT_OK, CANCELLED]):
        assert learn(under(CALLED_BY_STOP), order)[1] == ["cancelled_and_carried_out"]


ALL_FACTS: list[Fact] = [
    ALERT_OK, ALERT_BAD, NO_IMAGE, BROKEN_IMAGE, ACCEPTED, REFUSED, CANCELLED, CANCEL_REFUSED, TOO_LATE, DELIVERED,
    NOT_DELIVERED, HANDED_BACK, READ_OLD, READ_NEW, smi(2), smi(3, "NEW"), smi(4, "OTHER"),
    smi(5, status=DeviceStatus.WITHDRAWN), answer(said(ELEC)), answer(said(GAS, "withdraw", None, 2)),
    answer(said(GAS, "decline", None)),
]  # fmt: skip
STARTS = [BLANK, row(), row(delivery=SENT), row(delivery=FAILED), row(delivery=THERE), under(ARMING), under(ARMED),
          under(CALLED), under(CALLED_BY_STOP), ARMED_SILENT, row(delivery=SENT, silence=SILENT)]  # fmt: skip


@settings(max_examples=300)
@given(st.sampled_from(STARTS), st.lists(st.sampled_from(ALL_FACTS), max_size=14), st.sampled_from([ROLLOUT, STOPPED]))
def test_anything_may_be_heard(start: Facts, told: list[Fact], rollout: Any) -> None:
    """Total: no order of facts raises, counts stay sensible, and a repeat of the last fact changes nothing."""
    found, _ = learn(start, told)
    assert 0 <= found.arming.tries <= 2
    assert found.delivery.tries >= 0
    before = show(found, rollout)
    if told:
        assert show(learn(found, told[-1:])[0], rollout) == before
    assert (before.claim_at is None) or before.state in {
        S.SCHEDULED, S.DELIVERED, S.DELIVERY_FAILED, S.ACTIVATION_FAILED, S.NOT_APPLIED,
    }  # fmt: skip


@pytest.mark.parametrize("counter", COUNTERS)
@pytest.mark.parametrize("what", ["armed", "refused", "cancelled", "too_late", "outcome"])
def test_an_unknown_counter_is_an_anomaly_and_an_old_one_is_late(counter: int | None, what: str) -> None:
    """Only what this row never sent is odd; the answer to a read that an edge refused is known."""
    hears: dict[str, Callable[[], hear.Learnt]] = {
        "armed": lambda: hear.armed(ARMED_SILENT, counter, T),
        "refused": lambda: hear.command_refused(ARMED_SILENT, counter, T, None),
        "cancelled": lambda: hear.cancelled(ARMED_SILENT, counter, T),
        "too_late": lambda: hear.cancel_too_late(ARMED_SILENT, counter, T),
        "outcome": lambda: hear.outcome(ARMED_SILENT, counter, 0, T),
    }
    anomaly = hears[what]()[1]
    assert (anomaly is not None) == (counter in {999, None})


def test_a_refused_distribution_gives_its_try_back_once() -> None:
    """Its repeat does not touch the next hand-over of the same epoch."""
    back, _ = HANDED_BACK(row(delivery=SENT))
    assert (back.delivery.at, back.delivery.tries, back.delivery.refused_at) == (None, 0, T - 9 * DAY)
    again = back._replace(delivery=back.delivery._replace(at=T - 8 * DAY, tries=1))
    assert HANDED_BACK(again) == (again, None)
    assert hear.distribution_refused(row(delivery=SENT), T, 1, None)[0] == row(delivery=SENT)


def test_a_refused_cancel_can_be_sent_again_and_its_repeat_is_nothing() -> None:
    """It is still to be called back, and told so; each refusal makes the pause longer."""
    refused, anomaly = CANCEL_REFUSED(under(CALLED))
    assert (show(refused, ROLLOUT).state, anomaly) == (S.CANCELLING, None)
    assert (refused.arming.cancel_refused_at, refused.arming.cancel_refusals) == (T - HOUR, 1)
    assert CANCEL_REFUSED(refused) == (refused, None)
    assert refused.last_counter == 11


def test_the_hub_may_refuse_so_often_and_the_edge_as_often_as_it_likes() -> None:
    """Retries are bounded where something failed."""
    found = under({**ARMING, "tries": 2})
    by_edge, _ = hear.command_refused(found, 10, T, "too_early")
    assert (show(by_edge, ROLLOUT).state, by_edge.arming.tries) == (S.DELIVERED, 2)
    by_hub, _ = hear.activation_refused(found, 10, T, "busy")
    assert (show(by_hub, ROLLOUT).state, by_hub.arming.tries) == (S.FAILED_FINAL, 3)
    assert hear.activation_refused(by_hub, 10, T, "busy")[0].arming == by_hub.arming
    assert by_hub.arming.ended is ArmResult.REFUSED


def test_an_unasked_read_of_the_old_version_settles_nothing() -> None:
    """A Supplier may read just when the hub is to activate (A-8)."""
    unasked, _ = hear.version_read(under(ARMED), 12, T + HOUR, new_firmware=False)
    assert show(unasked, ROLLOUT).state is S.ARMED
    travelling, _ = hear.version_read(row(delivery=SENT), 12, T, new_firmware=False)
    assert show(travelling, ROLLOUT).state is S.DISTRIBUTING


@pytest.mark.parametrize("lag", [-5, 0, 5])
def test_the_answer_to_our_read_ends_the_silence_whatever_the_clocks_say(lag: int) -> None:
    """The edge's clock may lag behind ours."""
    read, _ = hear.version_read(ARMED_SILENT, 12, T + DAY + lag * HOUR, new_firmware=False)
    assert (show(read, ROLLOUT).state, read.silence.silent) == (S.NOT_APPLIED, False)
    late, _ = hear.version_read(row(delivery=SENT, silence=SILENT), 12, T + DAY + lag * HOUR, new_firmware=False)
    assert (show(late, ROLLOUT).state, show(late, ROLLOUT).reason) == (S.DELIVERY_FAILED, "timed_out")


def test_a_read_that_an_edge_refused_did_not_reach_the_hub() -> None:
    """It gives its attempt back, once, and a hub that nobody has asked is not unreachable."""
    gone = under(ARMED, silence={**SILENT, "reads": 3, "unreachable_at": T + 4 * DAY})
    refused, anomaly = hear.command_refused(gone, 12, T + 5 * DAY, "permit_expired")
    assert anomaly is None
    assert (show(refused, ROLLOUT).state, refused.silence.reads) == (S.SILENT, 2)
    assert hear.command_refused(refused, 12, T + 6 * DAY, "permit_expired") == (refused, None)
    older, _ = hear.command_refused(gone, 11, T + 5 * DAY, "permit_expired")
    assert show(older, ROLLOUT).state is S.UNREACHABLE


def test_a_late_word_revives_an_unreachable_hub() -> None:
    """Unreachable stays open."""
    gone = under(ARMED, silence={**SILENT, "unreachable_at": T + 4 * DAY})
    assert show(hear.armed(gone, 10, T + 5 * DAY)[0], ROLLOUT).state is S.ARMED
    assert show(hear.outcome(gone, 10, 0, T)[0], ROLLOUT).state is S.ACTIVATED
    waiting = row(delivery=SENT, silence={**SILENT, "unreachable_at": T + 4 * DAY})
    assert show(hear.delivered(waiting, T - DAY)[0], ROLLOUT).state is S.DELIVERED


@pytest.mark.parametrize("found", [NO_IMAGE, BROKEN_IMAGE])
def test_an_image_that_was_lost_or_broken_counts_again_once_it_is_handed_over_again(found: Fact) -> None:
    """Even in the same instant: a hub may say at once that it holds it."""
    lost, _ = found(row(delivery=THERE, arming=ARMED))
    assert show(lost, ROLLOUT).state is S.SCHEDULED
    sent = lost._replace(delivery=lost.delivery._replace(at=T, tries=2))
    assert show(hear.delivered(sent, T - DAY)[0], ROLLOUT).state is S.DISTRIBUTING
    assert show(hear.delivered(sent, T)[0], ROLLOUT).state is S.ACTIVATION_FAILED


def test_delivered_unasked_is_odd_but_delivered_after_a_refusal_is_not() -> None:
    """An earlier hand-over may have gone through."""
    assert hear.delivered(BLANK, T)[1] == hear.Anomaly("delivered_unasked", "delivery")
    assert hear.delivered(HANDED_BACK(row(delivery=SENT))[0], T)[1] is None


def test_an_answer_comes_too_late_while_armed_or_final() -> None:
    """A newer answer is no news for what has begun."""
    assert hear.takes_no_answer(under(ARMED), S.ARMED)
    assert hear.takes_no_answer(ARMED_SILENT, S.SILENT)
    assert hear.takes_no_answer(BLANK, S.CONFIRMED)
    assert not hear.takes_no_answer(row(delivery=THERE), S.DELIVERED)
    assert hear.is_news(row(), said(ELEC, seq=2))
    assert not hear.is_news(row(), said(ELEC))


def test_one_number_with_two_contents_is_noted() -> None:
    """Whichever came first, the same one counts."""
    twin = Answer(ELEC, 1, AnswerKind.INSTRUCT, Group.PILOT, RECEIVED, T)
    one, first = hear.party_says(hear.party_says(BLANK, said(ELEC))[0], twin)
    other, second = hear.party_says(hear.party_says(BLANK, twin)[0], said(ELEC))
    assert one == other
    assert first == second == hear.Anomaly("answer_twice", "elec:1")
