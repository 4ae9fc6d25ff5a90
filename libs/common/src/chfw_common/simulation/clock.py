"""Time that moves only when the driver says so."""

import asyncio

from chfw_common.kernel.instants import Instant, require_utc


class VirtualClock:
    """Stands still until it is moved; never goes back."""

    def __init__(self, start: Instant) -> None:
        self._now = require_utc(start)

    def now(self) -> Instant:
        """The virtual time."""
        return self._now

    def move_to(self, instant: Instant) -> None:
        """Jump forward. Raises ValueError for an instant that lies behind."""
        if instant < self._now:
            raise ValueError(f"the clock stands at {self._now}, {instant} is past")
        self._now = instant

    async def machine_sleep(self, seconds: float) -> None:  # noqa: ARG002 - the real clock waits
        """Let others run; virtual time does not pass."""
        await asyncio.sleep(0)
