"""What a region carries: never more at once, never faster, nobody overtaken, nobody dropped."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chfw_device_sim.domain.capacity import Capacity, Lane, admit, call_up, room

T0 = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EMPTY = Lane("North", 0, 0, 1, None)


def test_deliveries_begin_at_most_at_the_rate() -> None:
    capacity, lane = Capacity(per_hour=60, in_flight=100), EMPTY
    begun = []
    for _ in range(3):
        place, lane = admit(lane, capacity, T0)
        begun.append(place.begins)
    assert begun == [T0, T0 + MINUTE, T0 + 2 * MINUTE]
    assert admit(lane, capacity, T0 + timedelta(hours=1))[0].begins == T0 + timedelta(hours=1)


def test_nobody_overtakes_one_that_waits() -> None:
    capacity = Capacity(per_hour=60, in_flight=2)
    place, lane = admit(Lane("North", 1, 1, 5, None), capacity, T0)
    assert (place.begins, place.queue_no, lane.queued) == (None, 5, 2)


@given(st.lists(st.sampled_from(["come", "end", "call"]), max_size=60), st.integers(1, 4))
def test_all_begin_once_in_order_and_never_too_many_at_once(steps: list[str], most: int) -> None:
    capacity, lane = Capacity(per_hour=1_000, in_flight=most), EMPTY
    came, waiting, begun = 0, list[int](), list[int]()
    for n, step in enumerate(steps):
        now = T0 + n * MINUTE
        if step == "come":
            place, lane = admit(lane, capacity, now)
            (waiting if place.begins is None else begun).append(came)
            came += 1
        elif step == "end" and lane.in_flight:
            lane = lane._replace(in_flight=lane.in_flight - 1)
        elif step == "call" and room(lane, capacity):
            _, lane = call_up(lane, capacity, now)
            begun.append(waiting.pop(0))
        assert lane.in_flight <= most
        assert lane.queued == len(waiting)
    assert begun == list(range(len(begun)))
    assert len(begun) + len(waiting) == came
