"""The fate of hubs: the same for the same seed, and as often as assumed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_device_sim.domain.fate import (
    ACTIVATION_FAILURE,
    HASH_MISMATCH,
    NO_IMAGE_HELD,
    SUCCESS,
    Assumptions,
    Fate,
)

HUBS = [HubId(number) for number in range(-20_000, 20_000)]
R1 = ReleaseId("r1")
ASSUMED = Assumptions(
    never_answers=0.01,
    delivery_failure=0.007,
    no_image_held=0.007,
    hash_mismatch=0.001,
    activation_failure=0.007,
    lost_alert=0.01,
    delivery_min=timedelta(hours=1),
    delivery_max=timedelta(days=3),
)
FATE = Fate(1, ASSUMED)


def near(count: int, rate: float) -> bool:
    """Within five standard deviations; the draws are fixed, so this never flickers."""
    expected = len(HUBS) * rate
    return (count - expected) ** 2 < 25 * expected * (1 - rate)


def test_rates_are_what_is_assumed() -> None:
    assert near(sum(FATE.never_answers(hub) for hub in HUBS), 0.01)
    assert near(sum(FATE.delivery_fails(hub, R1, 1) for hub in HUBS), 0.007)
    assert near(sum(FATE.loses_alert(hub, R1, 1) for hub in HUBS), 0.01)
    outcomes = [FATE.activation(hub, R1, 1) for hub in HUBS]
    for outcome, rate in (
        (NO_IMAGE_HELD, 0.007),
        (HASH_MISMATCH, 0.001),
        (ACTIVATION_FAILURE, 0.007),
        (SUCCESS, 0.985),
    ):
        assert near(outcomes.count(outcome), rate)


def test_the_same_seed_draws_the_same_and_another_seed_or_attempt_does_not() -> None:
    def drawn(fate: Fate, attempt: int) -> list[bool]:
        return [fate.delivery_fails(hub, R1, attempt) for hub in HUBS]

    assert drawn(FATE, 1) == drawn(Fate(1, ASSUMED), 1)
    assert drawn(FATE, 1) != drawn(Fate(2, ASSUMED), 1)
    assert drawn(FATE, 1) != drawn(FATE, 2)


def test_the_draws_of_a_seed_are_fixed_for_ever() -> None:
    """A change of the recipe would change every recorded run."""
    assert [hub for hub in HUBS[20_000:20_300] if FATE.never_answers(hub)] == [93]


def test_delays_stay_within_their_bounds_and_spread() -> None:
    delays = [FATE.delivery_delay(hub, R1, 1) for hub in HUBS[:2_000]]
    assert timedelta(hours=1) <= min(delays) < timedelta(hours=2)
    assert timedelta(hours=71) < max(delays) <= timedelta(days=3)


@pytest.mark.parametrize(("rate", "expected"), [(0.0, False), (1.0, True)])
def test_a_rate_of_nothing_is_never_and_of_one_always(rate: float, expected: bool) -> None:
    fate = Fate(1, replace(ASSUMED, never_answers=rate))
    assert all(fate.never_answers(hub) is expected for hub in HUBS[:500])
