"""The waits between tries."""

from chfw_common.kernel.instants import parse_instant
from chfw_common.runtime.backoff import Backoff
from chfw_common.simulation.clock import VirtualClock


class NotedClock(VirtualClock):
    """Notes for how long it was asked to wait."""

    waits: list[float]

    async def machine_sleep(self, seconds: float) -> None:
        """Note it."""
        self.waits.append(seconds)


def noted() -> NotedClock:
    clock = NotedClock(parse_instant("2026-10-01T09:00:00Z"))
    clock.waits = []
    return clock


async def test_each_wait_is_twice_the_one_before_up_to_the_longest() -> None:
    clock = noted()
    backoff = Backoff(clock)
    for _ in range(8):
        await backoff.wait()
    assert clock.waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


async def test_after_a_success_the_wait_is_the_first_again() -> None:
    clock = noted()
    backoff = Backoff(clock, first=0.2)
    await backoff.wait()
    await backoff.wait()
    backoff.reset()
    await backoff.wait()
    assert clock.waits == [0.2, 0.4, 0.2]
