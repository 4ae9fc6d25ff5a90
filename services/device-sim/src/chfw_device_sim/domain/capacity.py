"""How much a region can carry: deliveries begun per hour, and deliveries at once. What is beyond waits in order."""

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from chfw_common.kernel.instants import Instant

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Capacity:
    """The bounds of one region."""

    per_hour: int
    in_flight: int


class Lane(NamedTuple):
    """How full a region is. `next_no` is the next place in its queue, `free_at` when the next delivery may begin."""

    region: str
    in_flight: int
    queued: int
    next_no: int
    free_at: Instant | None


class Place(NamedTuple):
    """A delivery that begins at an instant, or waits under a number."""

    begins: Instant | None
    queue_no: int | None


def admit(lane: Lane, capacity: Capacity, now: Instant) -> tuple[Place, Lane]:
    """Let one more delivery in. Nobody overtakes: while some wait, the next one waits too."""
    region, in_flight, queued, next_no, free_at = lane
    if queued or in_flight >= capacity.in_flight:
        return Place(None, next_no), Lane(region, in_flight, queued + 1, next_no + 1, free_at)
    begins = now if free_at is None or free_at < now else free_at
    after = Lane(region, in_flight + 1, queued, next_no, begins + _HOUR / capacity.per_hour)
    return Place(begins, None), after


def call_up(lane: Lane, capacity: Capacity, now: Instant) -> tuple[Instant, Lane]:
    """Let the first that waits begin; there must be room, and somebody waiting."""
    place, after = admit(lane._replace(queued=0), capacity, now)
    if place.begins is None:
        raise ValueError("no room")
    return place.begins, after._replace(queued=lane.queued - 1)


def room(lane: Lane, capacity: Capacity) -> int:
    """How many of those that wait may begin."""
    return max(0, min(lane.queued, capacity.in_flight - lane.in_flight))
