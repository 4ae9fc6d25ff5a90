"""Waiting for a server that is away: each wait is twice the one before, up to a limit."""

from chfw_common.runtime.clock import Clock

FIRST, LIMIT = 0.1, 5.0
"""Seconds between two tries: at first, and at most."""


def longer(pause: float) -> float:
    """The wait after one of so many seconds."""
    return min(pause * 2, LIMIT)


class Backoff:
    """The waits between tries of one thing, in the machine's time: servers do not come back sooner in a paced one."""

    def __init__(self, clock: Clock, first: float = FIRST) -> None:
        self._clock = clock
        self._first = first
        self._pause = first

    async def wait(self) -> None:
        """Wait before the next try."""
        await self._clock.machine_sleep(self._pause)
        self._pause = longer(self._pause)

    def reset(self) -> None:
        """The last try succeeded: the next wait is the first again."""
        self._pause = self._first
