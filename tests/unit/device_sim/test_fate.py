"""The fate of hubs: the same for the same seed, and as often as assumed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_device_sim.domain.fate import (
    ACTIVATION_FAILURE,
    HASH_MISMATCH,
    NO_IMAGE_HELD,
    SUCCESS,
    Assumptions,
    Fate,
    Span,
    TransferFailure,
)

HUBS = [HubId(number) for number in range(-20_000, 20_000)]
R1 = ReleaseId("r1")
DAY = timedelta(days=1)
T0 = datetime(2026, 3, 1, 17, 30, tzinfo=UTC)
ASSUMED = Assumptions(
    never_answers=0.01,
    out_of_reach={"North": 0.08},
    delivery={"North": Span(timedelta(hours=1), timedelta(days=3)), "4G North": Span(timedelta(0), timedelta(hours=1))},
    file_transfer_failure=0.005,
    hardware_version_mismatch=0.001,
    firmware_image_discarded=0.001,
    no_image_held=0.007,
    hash_mismatch=0.001,
    activation_failure=0.007,
    lost_alert=0.01,
    late_alert=0.02,
    late=Span(timedelta(hours=1), timedelta(hours=12)),
    repeated_alert=0.005,
    repeated=Span(timedelta(minutes=1), timedelta(hours=1)),
    slow_restart=0.03,
    restart=Span(timedelta(minutes=1), timedelta(minutes=10)),
)
FATE = Fate(1, ASSUMED)


def near(count: int, rate: float) -> bool:
    """Within five standard deviations; the draws are fixed, so this never flickers."""
    expected = len(HUBS) * rate
    return (count - expected) ** 2 < 25 * expected * (1 - rate)


def test_rates_are_what_is_assumed() -> None:
    assert near(sum(FATE.never_answers(hub) for hub in HUBS), 0.01)
    failures = [FATE.delivery(hub, R1, 1) for hub in HUBS]
    assert near(failures.count(TransferFailure.FILE_TRANSFER_FAILURE), 0.005)
    assert near(failures.count(TransferFailure.HARDWARE_VERSION_MISMATCH), 0.001)
    assert near(failures.count(TransferFailure.FIRMWARE_IMAGE_DISCARDED), 0.001)
    alerts = [FATE.alert_delays(hub, R1, 1) for hub in HUBS]
    assert near(alerts.count(()), 0.01)
    assert near(sum(len(delays) == 2 for delays in alerts), 0.005)
    late = [delays[0] for delays in alerts if delays and delays[0]]
    assert near(len(late), 0.02)
    assert timedelta(hours=1) <= min(late) < max(late) <= timedelta(hours=12)
    restarts = [restart for hub in HUBS if (restart := FATE.restart(hub, R1, 1))]
    assert near(len(restarts), 0.03)
    assert timedelta(minutes=1) <= min(restarts) < max(restarts) <= timedelta(minutes=10)
    outcomes = [FATE.activation(hub, R1, 1) for hub in HUBS]
    for outcome, rate in (
        (NO_IMAGE_HELD, 0.007),
        (HASH_MISMATCH, 0.001),
        (ACTIVATION_FAILURE, 0.007),
        (SUCCESS, 0.985),
    ):
        assert near(outcomes.count(outcome), rate)


def test_the_same_seed_draws_the_same_and_another_seed_or_attempt_does_not() -> None:
    def drawn(fate: Fate, attempt: int) -> list[TransferFailure | None]:
        return [fate.delivery(hub, R1, attempt) for hub in HUBS]

    assert drawn(FATE, 1) == drawn(Fate(1, ASSUMED), 1)
    assert drawn(FATE, 1) != drawn(Fate(2, ASSUMED), 1)
    assert drawn(FATE, 1) != drawn(FATE, 2)


def test_the_draws_of_a_seed_are_fixed_for_ever() -> None:
    """A change of the recipe would change every recorded run."""
    assert [hub for hub in HUBS[20_000:20_300] if FATE.never_answers(hub)] == [93]


def test_delays_stay_within_their_bounds_and_spread() -> None:
    delays = [FATE.delivery_delay(hub, "North", R1, 1) for hub in HUBS[:2_000]]
    assert timedelta(hours=1) <= min(delays) < timedelta(hours=2)
    assert timedelta(hours=71) < max(delays) <= timedelta(days=3)
    assert max(FATE.delivery_delay(hub, "4G North", R1, 1) for hub in HUBS[:500]) <= timedelta(hours=1)


def test_a_share_of_a_region_is_out_of_reach_on_a_day_and_answers_the_next() -> None:
    today, tomorrow = T0.toordinal(), T0.toordinal() + 1
    out = {hub for hub in HUBS if FATE.out_of_reach(hub, "North", today)}
    out_tomorrow = {hub for hub in HUBS if FATE.out_of_reach(hub, "North", tomorrow)}
    assert near(len(out), 0.08)
    assert near(len(out_tomorrow), 0.08)
    assert not out & out_tomorrow
    assert not any(FATE.out_of_reach(hub, "South", today) for hub in HUBS[:500])
    hub = min(out)
    assert FATE.within_reach(hub, "North", T0) == datetime(2026, 3, 2, tzinfo=UTC)
    assert FATE.within_reach(min(out_tomorrow), "North", T0) == T0


@pytest.mark.parametrize(("rate", "expected"), [(0.0, False), (1.0, True)])
def test_a_rate_of_nothing_is_never_and_of_one_always(rate: float, expected: bool) -> None:
    fate = Fate(1, replace(ASSUMED, never_answers=rate))
    assert all(fate.never_answers(hub) is expected for hub in HUBS[:500])
