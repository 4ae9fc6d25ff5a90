"""Those who are turned away in a crowd are told to come back one after the other."""

from chfw_common.runtime.http.quotas import LONGEST_WAIT, Crowd


def test_so_many_are_told_each_second() -> None:
    crowd = Crowd(4)
    assert [crowd.turn_away(100.0) for _ in range(8)] == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]
    # A second later four of them have had their turn.
    assert crowd.turn_away(101.0) == 1.25
    assert crowd.turn_away(1_000.0) == 0.25


def test_nobody_is_told_to_wait_for_longer_than_a_minute() -> None:
    crowd = Crowd(1)
    assert max(crowd.turn_away(5.0) for _ in range(1_000)) == LONGEST_WAIT
