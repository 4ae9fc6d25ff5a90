"""The waits between restarts."""

from chfw_cli.local import backoff


def test_each_wait_is_twice_the_one_before_up_to_the_longest() -> None:
    waits, wait = [], None
    for _ in range(7):
        wait = backoff.next_delay(wait, lived=0.0)
        waits.append(wait)
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_process_that_lived_long_enough_starts_afresh() -> None:
    assert backoff.next_delay(5.0, lived=backoff.SETTLED) == backoff.FIRST
    assert backoff.next_delay(1.6, lived=backoff.SETTLED - 0.001) == 3.2
