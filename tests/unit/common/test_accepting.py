"""What accepting a log makes of a position that cannot be read on."""

import pytest

from chfw_common.runtime.accepting import propose
from chfw_common.runtime.offsets import Position
from chfw_common.runtime.positions import Held, LogState

OLD, NEW = "old", "new"


@pytest.mark.parametrize(
    ("position", "log", "held", "after", "stepped"),
    [
        (Position(OLD, 0, 5), LogState(NEW, 0, 3), None, Position(NEW, 1, 0), None),
        (Position(OLD, 2, 0), LogState(NEW, 4, 9), None, Position(NEW, 3, 4), (0, 4)),
        (Position(OLD, 0, 5), LogState(OLD, 8, 9), None, Position(OLD, 0, 8), (5, 8)),
        (Position(OLD, 0, 5), LogState(OLD, 0, 3), None, Position(OLD, 1, 3), (0, 3)),
        (Position(OLD, 0, 5), LogState(OLD, 0, 0), None, Position(OLD, 1, 0), None),
        (Position(OLD, 0, 5), LogState(OLD, 0, 9), Held(5, 7), Position(OLD, 0, 7), (5, 7)),
        (Position(OLD, 0, 5), LogState(OLD, 0, 9), Held(5), Position(OLD, 0, 9), (5, 9)),
    ],
)
def test_what_it_becomes(
    position: Position, log: LogState, held: Held | None, after: Position, stepped: tuple[int, int] | None
) -> None:
    found = propose(position, log, held)
    assert found is not None
    assert (found.before, found.after, found.stepped) == (position, after, stepped)
    assert found.found


@pytest.mark.parametrize(
    ("next_offset", "held"),
    [(9, None), (5, Held(5, 5)), (5, Held(6, 6)), (5, Held(6, 8)), (0, Held(0, 0))],
)
def test_a_position_that_can_be_read_on_is_left_alone(next_offset: int, held: Held | None) -> None:
    assert propose(Position(OLD, 0, next_offset), LogState(OLD, 0, 9), held) is None
