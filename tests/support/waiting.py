"""Waiting for what a test is about, never for time to pass."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

LIMIT = 30.0
_LOOK = 0.01


async def eventually(condition: Callable[[], Awaitable[bool]], limit: float = LIMIT) -> None:
    """Return as soon as the condition holds. Raises TimeoutError at the limit."""
    async with asyncio.timeout(limit):
        while not await condition():  # noqa: ASYNC110 - a condition may be a query
            await asyncio.sleep(_LOOK)


@contextlib.asynccontextmanager
async def running(*works: Coroutine[Any, Any, None]) -> AsyncIterator[tuple["asyncio.Task[None]", ...]]:
    """Run the works beside the body and cancel them at its end. What a work raised is raised here."""
    body = asyncio.current_task()
    tasks = tuple(asyncio.create_task(work) for work in works)

    def ended(task: "asyncio.Task[None]") -> None:
        if body is not None and not task.cancelled() and task.exception() is not None:
            body.cancel()

    for task in tasks:
        task.add_done_callback(ended)
    failed: BaseException | None = None
    try:
        yield tasks
    except asyncio.CancelledError:
        failed = next((e for t in tasks if t.done() and not t.cancelled() and (e := t.exception())), None)
        if failed is None:
            raise
        if body is not None:
            body.uncancel()
    finally:
        for task in tasks:
            task.remove_done_callback(ended)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if failed is not None:
        raise failed
