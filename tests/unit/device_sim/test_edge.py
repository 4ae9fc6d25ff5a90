"""What an edge lets pass: the decision table with its boundaries."""

from datetime import UTC, datetime, timedelta

import pytest

from chfw_device_sim.domain.edge import Permit, Refusal, is_skewed, refusal

T0 = datetime(2026, 3, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
SKEW = timedelta(seconds=5)
TEN = timedelta(minutes=10)
PERMIT = Permit(epoch=5, not_before=T0, permit_until=T0 + TEN)


@pytest.mark.parametrize(
    ("min_epoch", "now", "skewed", "expected"),
    [
        (5, T0, False, None),
        (5, T0 + TEN, False, None),
        (0, T0 + TEN / 2, False, None),
        (6, T0, False, Refusal.STALE_EPOCH),
        (5, T0 - SKEW, False, None),
        (5, T0 - SKEW - TICK, False, Refusal.TOO_EARLY),
        (5, T0 + TEN + TICK, False, Refusal.PERMIT_EXPIRED),
        (5, T0, True, Refusal.SKEWED),
        (5, T0 - SKEW - TICK, True, Refusal.SKEWED),
        (6, T0 + TEN + TICK, True, Refusal.STALE_EPOCH),
        (6, T0 - SKEW - TICK, False, Refusal.STALE_EPOCH),
    ],
)
def test_the_edge_decides(min_epoch: int, now: datetime, skewed: bool, expected: Refusal | None) -> None:
    assert refusal(PERMIT, min_epoch, now, max_skew=SKEW, skewed=skewed) is expected


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        (timedelta(seconds=5), False),
        (timedelta(seconds=5) + TICK, True),
        (timedelta(0), False),
        (-timedelta(days=1), False),
    ],
)
def test_only_a_message_from_beyond_the_allowed_skew_is_skewed(ahead: timedelta, expected: bool) -> None:
    assert is_skewed(T0 + ahead, T0, timedelta(seconds=5)) is expected
