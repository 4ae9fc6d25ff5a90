"""Closing a Kafka client whose broker may be away, or hang."""

import asyncio
from collections.abc import Awaitable
from typing import Any

CLOSE_LIMIT = 2.0
"""Seconds that closing may take, and as long again to cancel what does not end."""


async def ended(closing: Awaitable[Any], limit: float = CLOSE_LIMIT) -> None:
    """Wait until the work has ended, at most for twice `limit` seconds. How it ended does not matter.

    A task of its own: aiokafka cancels tasks of its own and awaits them, so its `stop()` may raise CancelledError
    (and a frozen broker makes it). That is no cancellation of the caller.
    """
    task = asyncio.ensure_future(closing)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait([task], timeout=limit)
    if not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=limit)
