"""An application behind its real listener, on a port of loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.types import ASGIApp

from chfw_common.runtime.http.listener import Limits, Listener
from tests.support.waiting import eventually


@contextlib.asynccontextmanager
async def listening(app: ASGIApp, limits: Limits | None = None) -> AsyncIterator[Listener]:
    """A listener that answers; at the end it is told to stop, as a process is."""
    listener = Listener(app, "127.0.0.1", 0, limits or Limits())
    running = asyncio.create_task(listener.serve())

    async def started() -> bool:
        return running.done() or listener.port is not None

    await eventually(started)
    try:
        yield listener
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
