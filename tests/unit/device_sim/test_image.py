"""A hub and an image: forwarded, in transit, held."""

from datetime import UTC, datetime, timedelta

from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_device_sim.domain.capacity import Capacity, Lane
from chfw_device_sim.domain.fate import Assumptions, Fate, Span
from chfw_device_sim.domain.image import Radio, Receipt, Received, Reception, Sent
from chfw_device_sim.domain.image import receive as really_receive

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
R1 = ReleaseId("r1")
SENT = Sent(R1, "NEW", "hash", 3)
EMPTY = Reception(HubId(7), 3, "North", None, None, None, None, None, None, None, None, 0)
SECOND = timedelta(seconds=1)
RADIO = Radio(Fate(1, Assumptions(delivery={"North": Span(HOUR, HOUR)})), SECOND)
SILENT = Radio(Fate(1, Assumptions(never_answers=1)), SECOND)
WIDE = Capacity(per_hour=3_600, in_flight=100)
LANE = Lane("North", 0, 0, 1, None)


def receive(
    reception: Reception,
    sent: Sent,
    now: datetime,
    *,
    radio: Radio = RADIO,
    lane: Lane = LANE,
    capacity: Capacity = WIDE,
) -> Received:
    return really_receive(reception, sent, radio, lane, capacity=capacity, now=now)


def test_an_image_travels_for_its_delay() -> None:
    receipt, after, lane = receive(EMPTY, SENT, T0)
    assert receipt is Receipt.COMING
    assert (after.coming_release, after.coming_epoch, after.deliver_at, after.deliveries) == (R1, 3, T0 + HOUR, 1)
    assert (lane.in_flight, lane.queued, lane.free_at) == (1, 0, T0 + SECOND)


def test_arrivals_are_rounded_up_to_the_grid() -> None:
    coarse = Radio(RADIO.fate, 6 * HOUR)
    assert receive(EMPTY, SENT, T0, radio=coarse).reception.deliver_at == T0 + 6 * HOUR
    assert receive(EMPTY, SENT, T0 + 5 * HOUR, radio=coarse).reception.deliver_at == T0 + 6 * HOUR


def test_an_image_for_a_hub_out_of_reach_arrives_the_next_day() -> None:
    half = Radio(Fate(1, Assumptions(out_of_reach={"North": 0.5})), SECOND)
    days = [receive(EMPTY, SENT, T0 + n * timedelta(days=1) + HOUR, radio=half).reception.deliver_at for n in (0, 1)]
    assert T0 + timedelta(days=1) in days or T0 + timedelta(days=2) in days
    assert sum(day is not None and day.hour == 0 for day in days) == 1


def test_the_same_image_again_takes_over_the_newer_epoch_and_no_other_time() -> None:
    once = receive(EMPTY, SENT, T0).reception
    assert receive(once, SENT, T0 + HOUR) == (Receipt.COMING, once, LANE)
    again = receive(once, Sent(R1, "NEW", "hash", 4), T0 + HOUR).reception
    assert again == once._replace(coming_epoch=4)
    assert receive(again, SENT, T0 + HOUR).reception == again


def test_a_held_image_is_acknowledged_at_once() -> None:
    held = EMPTY._replace(held_hash="hash")
    assert receive(held, SENT, T0) == (Receipt.HELD, held, LANE)


def test_another_image_takes_the_place_of_the_one_in_transit() -> None:
    _, once, lane = receive(EMPTY, SENT, T0)
    _, after, later = receive(once, Sent(ReleaseId("r2"), "NEWER", "other", 9), T0 + HOUR, lane=lane)
    assert (after.coming_release, after.deliver_at, after.deliveries) == ("r2", T0 + 2 * HOUR, 1)
    assert later == lane


def test_a_full_region_lets_an_image_wait_and_another_takes_its_place_in_the_queue() -> None:
    full = Lane("North", 100, 0, 7, None)
    _, waits, lane = receive(EMPTY, SENT, T0, lane=full)
    assert (waits.deliver_at, waits.queue_no, lane.queued, lane.next_no) == (None, 7, 1, 8)
    _, after, later = receive(waits, Sent(ReleaseId("r2"), "NEWER", "other", 9), T0, lane=lane)
    assert (after.deliver_at, after.queue_no, after.coming_release, later) == (None, 7, "r2", lane)


def test_a_retry_is_another_attempt() -> None:
    failed = EMPTY._replace(delivery_release=R1, deliveries=1)
    assert receive(failed, SENT, T0).reception.deliveries == 2


def test_nothing_comes_of_an_image_for_a_hub_that_never_answers() -> None:
    assert receive(EMPTY, SENT, T0, radio=SILENT) == (Receipt.NOTHING, EMPTY, LANE)
