"""How long requests take, by route and status: plain ASGI, so that what a client does reaches the route as it is."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chfw_common.runtime.clock import stopwatch
from chfw_common.runtime.metrics import Metrics

FAILED = 500
"""What counts for a request that ended without an answer of its own: the server makes one."""


class Measured:
    """Tells the metrics of each request, however it ends."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = stopwatch(), FAILED

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, told)
        finally:
            template = getattr(scope.get("route"), "path", "unmatched")
            self._metrics.requested(scope["method"], template, status, stopwatch() - begun)
