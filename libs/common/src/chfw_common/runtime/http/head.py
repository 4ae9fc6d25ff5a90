"""Methods beside those that routes name: HEAD wherever GET is, and which methods a place has.

HEAD is answered as GET is, without the content (RFC 9110, section 9.3.2).
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadIsGet:
    """Answers HEAD with the head of what GET answers. The route is left there, so no list is read to its end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        told = asyncio.Event()

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body"})
                told.set()

        getting = asyncio.create_task(_run(self._app, {**scope, "method": "GET"}, receive, send_head))
        await _first(getting, asyncio.create_task(told.wait()))


async def _run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


async def _first(work: asyncio.Task[Any], enough: asyncio.Task[Any]) -> None:
    """Return when either has ended, with both at their end. Raises what the work raised."""
    try:
        await asyncio.wait({work, enough}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
    finally:
        work.cancel()
        enough.cancel()
        await asyncio.gather(work, enough, return_exceptions=True)


def methods_at(scope: Scope, routes: Iterable[BaseRoute]) -> list[str]:
    """The methods of all routes at the place a request names, for the header Allow (RFC 9110, section 15.5.6)."""
    found = {
        method
        for route in routes
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
    return sorted(found | ({"HEAD"} if "GET" in found else set()))
