"""CS06 as a hub acts on it: counters, receipts, cancels, and an activation at most once (I8)."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_device_sim.domain.cs06 import Answer, Armed, Asked, Command, Due, Hub, answers_at, execute, obey
from chfw_device_sim.domain.fate import (
    ACTIVATION_FAILURE,
    HASH_MISMATCH,
    NO_IMAGE_HELD,
    SUCCESS,
    Assumptions,
    Fate,
    Span,
)

T0 = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
R1 = ReleaseId("r1")
HUB = Hub(
    hub=HubId(7),
    part=3,
    region="North",
    firmware="OLD",
    counter=0,
    receipt=None,
    armed=None,
    executed_counter=0,
    activated_release=None,
)
SURE = Fate(1, Assumptions())
DOOMED = Fate(1, Assumptions(activation_failure=1, lost_alert=1))


def activate(counter: int, at: datetime = T0 + DAY) -> Command:
    return Command(Asked.ACTIVATE, R1, "hash", 1, counter, activate_at=at)


def cancel(counter: int, cancels: int | None) -> Command:
    return Command(Asked.CANCEL, R1, "hash", 1, counter, cancels=cancels)


def read(counter: int) -> Command:
    return Command(Asked.READ, R1, "hash", 1, counter)


def kind(hub: Hub) -> Answer:
    assert hub.receipt is not None
    return hub.receipt.kind


def activated(hub: Hub) -> Hub:
    assert hub.armed is not None
    return hub._replace(
        armed=None, executed_counter=hub.armed.counter, activated_release=hub.armed.release_id, firmware="NEW"
    )


def test_a_command_arms_and_its_repeat_gets_the_stored_receipt() -> None:
    armed = obey(HUB, activate(10), T0)
    assert armed.armed == Armed(R1, "hash", 10, T0 + DAY)
    assert kind(armed) is Answer.ACTIVATION_ACCEPTED
    assert obey(armed, activate(10), T0 + DAY) is armed


def test_an_older_counter_changes_nothing() -> None:
    armed = obey(HUB, activate(10), T0)
    assert obey(armed, activate(9, T0 + 2 * DAY), T0) is armed
    assert obey(armed, cancel(8, 10), T0) is armed


def test_a_newer_command_replaces_an_armed_one() -> None:
    hub = obey(obey(HUB, activate(10), T0), activate(11, T0 + 2 * DAY), T0)
    assert hub.armed == Armed(R1, "hash", 11, T0 + 2 * DAY)


def test_a_cancel_disarms() -> None:
    hub = obey(obey(HUB, activate(10), T0), cancel(11, 10), T0)
    assert hub.armed is None
    assert kind(hub) is Answer.CANCEL_ACCEPTED


def test_a_cancel_of_a_replaced_command_leaves_the_newer_one_armed() -> None:
    hub = obey(obey(obey(HUB, activate(10), T0), activate(11), T0), cancel(12, 10), T0)
    assert hub.armed is not None
    assert kind(hub) is Answer.CANCEL_ACCEPTED


def test_a_cancel_gives_up_what_came_before_the_command_it_names() -> None:
    """The edge let an older CS06 through, and the one that is called back never came."""
    hub = obey(obey(HUB, activate(10), T0), cancel(12, 11), T0)
    assert hub.armed is None
    assert kind(hub) is Answer.CANCEL_ACCEPTED


def test_a_cancel_of_another_release_gives_up_nothing() -> None:
    hub = obey(obey(HUB, activate(10), T0), cancel(12, 11)._replace(release_id=ReleaseId("r2")), T0)
    assert hub.armed is not None


def test_a_cancel_that_overtakes_its_command_keeps_it_from_ever_arming() -> None:
    hub = obey(HUB, cancel(11, 10), T0)
    assert kind(hub) is Answer.CANCEL_ACCEPTED
    assert obey(hub, activate(10), T0).armed is None


def test_a_cancel_after_the_activation_is_too_late() -> None:
    hub = obey(activated(obey(HUB, activate(10), T0)), cancel(11, 10), T0 + DAY)
    assert kind(hub) is Answer.CANCEL_TOO_LATE
    assert hub.firmware == "NEW"


def test_a_second_command_for_an_activated_release_arms_nothing_and_cannot_be_cancelled() -> None:
    hub = obey(activated(obey(HUB, activate(10), T0)), activate(12), T0 + DAY)
    assert hub.armed is None
    assert kind(hub) is Answer.ACTIVATION_ACCEPTED
    assert kind(obey(hub, cancel(13, 12), T0 + DAY)) is Answer.CANCEL_TOO_LATE


def test_an_immediate_command_is_refused() -> None:
    hub = obey(HUB, activate(10)._replace(activate_at=None), T0)
    assert hub.armed is None
    assert kind(hub) is Answer.ACTIVATION_REFUSED


def test_a_read_tells_the_running_version_and_leaves_the_armed_command() -> None:
    hub = obey(obey(HUB, activate(10), T0), read(11), T0)
    assert hub.receipt is not None
    assert (hub.receipt.kind, hub.receipt.firmware, hub.receipt.counter) == (Answer.VERSION_READ, "OLD", 11)
    assert hub.armed is not None


commands = st.one_of(
    st.builds(activate, st.integers(1, 12)),
    st.builds(cancel, st.integers(1, 12), st.one_of(st.none(), st.integers(1, 12))),
    st.builds(read, st.integers(1, 12)),
)


@given(st.lists(st.one_of(commands, st.just(None)), max_size=30))
def test_whatever_comes_a_release_is_activated_at_most_once(steps: list[Command | None]) -> None:
    hub, times = HUB, 0
    for step in steps:
        if step is not None:
            before = hub.counter
            hub = obey(hub, step, T0)
            assert hub.counter == max(before, step.counter)
        elif hub.armed is not None:
            hub, times = activated(hub), times + 1
    assert times <= 1


DUE = Due(
    hub=HubId(7),
    part=3,
    region="North",
    firmware="OLD",
    held_firmware="NEW",
    held_hash="hash",
    armed_release=R1,
    armed_hash="hash",
    armed_counter=10,
    activation_release=None,
    activations_tried=0,
    alert_counter=4,
)


def test_an_activation_runs_the_image_that_is_held() -> None:
    done = execute(DUE, SURE, T0)
    assert (done.outcome, done.firmware, done.alert_counter, done.alert_at) == (SUCCESS, "NEW", 5, (T0,))


def test_failures_keep_the_running_version() -> None:
    for due, fate, outcome in (
        (DUE._replace(held_hash=None, held_firmware=None), SURE, NO_IMAGE_HELD),
        (DUE._replace(held_hash="other"), SURE, HASH_MISMATCH),
        (DUE, DOOMED, ACTIVATION_FAILURE),
    ):
        done = execute(due, fate, T0)
        assert (done.outcome, done.firmware) == (outcome, "OLD")


def test_a_lost_alert_uses_up_its_counter() -> None:
    done = execute(DUE, DOOMED, T0)
    assert (done.alert_at, done.alert_counter) == ((), 5)


def test_attempts_count_per_release() -> None:
    assert execute(DUE._replace(activation_release=R1, activations_tried=2), SURE, T0).attempt == 3
    assert execute(DUE._replace(activation_release=ReleaseId("r0"), activations_tried=2), SURE, T0).attempt == 1


MINUTES = Span(timedelta(minutes=3), timedelta(minutes=3))
HOURS = Span(timedelta(hours=5), timedelta(hours=5))


def test_an_alert_comes_late_twice_or_after_the_restart() -> None:
    late = execute(DUE, Fate(1, Assumptions(late_alert=1, late=HOURS)), T0)
    assert (late.alert_at, late.restarts_until) == ((T0 + HOURS.least,), None)
    twice = execute(DUE, Fate(1, Assumptions(repeated_alert=1, repeated=MINUTES)), T0)
    assert twice.alert_at == (T0, T0 + MINUTES.least)
    slow = execute(DUE, Fate(1, Assumptions(slow_restart=1, restart=MINUTES)), T0)
    assert (slow.alert_at, slow.restarts_until) == ((T0 + MINUTES.least,), T0 + MINUTES.least)


def test_a_hub_that_restarts_answers_afterwards() -> None:
    restarting = HUB._replace(restarts_until=T0 + MINUTES.least)
    assert answers_at(restarting, SURE, T0) == T0 + MINUTES.least
    assert answers_at(restarting, SURE, T0 + DAY) == T0 + DAY
    assert answers_at(HUB, SURE, T0) == T0
