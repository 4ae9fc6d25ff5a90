"""A hub and an image: forwarded, in transit, held."""

from datetime import UTC, datetime, timedelta

from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_device_sim.domain.fate import Assumptions, Fate
from chfw_device_sim.domain.image import Receipt, Reception, Sent, receive

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
R1 = ReleaseId("r1")
SENT = Sent(R1, "NEW", "hash", 3)
EMPTY = Reception(HubId(7), 3, "North", None, None, None, None, None, None, None, 0)
FATE = Fate(1, Assumptions(0, 0, 0, 0, 0, 0, HOUR, HOUR))
SILENT = Fate(1, Assumptions(1, 0, 0, 0, 0, 0, HOUR, HOUR))


def test_an_image_travels_for_its_delay() -> None:
    receipt, after = receive(EMPTY, SENT, FATE, T0)
    assert receipt is Receipt.COMING
    assert (after.coming_release, after.coming_epoch, after.deliver_at, after.deliveries) == (R1, 3, T0 + HOUR, 1)


def test_the_same_image_again_takes_over_the_newer_epoch_and_no_other_time() -> None:
    _, once = receive(EMPTY, SENT, FATE, T0)
    assert receive(once, SENT, FATE, T0 + HOUR) == (Receipt.COMING, once)
    _, again = receive(once, Sent(R1, "NEW", "hash", 4), FATE, T0 + HOUR)
    assert again == once._replace(coming_epoch=4)
    _, older = receive(again, SENT, FATE, T0 + HOUR)
    assert older == again


def test_a_held_image_is_acknowledged_at_once() -> None:
    held = EMPTY._replace(held_hash="hash")
    assert receive(held, SENT, FATE, T0) == (Receipt.HELD, held)


def test_another_image_takes_the_place_of_the_one_in_transit() -> None:
    _, once = receive(EMPTY, SENT, FATE, T0)
    _, after = receive(once, Sent(ReleaseId("r2"), "NEWER", "other", 9), FATE, T0 + HOUR)
    assert (after.coming_release, after.deliver_at, after.deliveries) == ("r2", T0 + 2 * HOUR, 1)


def test_a_retry_is_another_attempt() -> None:
    failed = EMPTY._replace(delivery_release=R1, deliveries=1)
    assert receive(failed, SENT, FATE, T0)[1].deliveries == 2


def test_nothing_comes_of_an_image_for_a_hub_that_never_answers() -> None:
    assert receive(EMPTY, SENT, SILENT, T0) == (Receipt.NOTHING, EMPTY)
