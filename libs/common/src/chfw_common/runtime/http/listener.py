"""A listener: uvicorn with bounds on what strangers may cost it.

uvicorn bounds neither the bytes of a head nor the time that a client takes to send one or to take its answer. Its
`http` setting is the place for a protocol of one's own (ADR 0070).
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import uvicorn
from starlette.types import ASGIApp

from chfw_common.runtime.http.connections import Connections
from chfw_common.runtime.http.protocol import BoundedProtocol, Times

IDLE = 5
"""Seconds that a connection may stay open between two requests."""
GRACE = 2
"""Seconds that answers under way have when the process is told to stop."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one listener.

    `connections`: how many in all; `per_address`: from one address. `head`: how long the head of a request may take,
    and how long the rest of a body that nobody wants may. `answer`: how long a client may take nothing of its answer.
    """

    connections: int = 800
    per_address: int = 200
    head: timedelta = timedelta(seconds=10)
    answer: timedelta = timedelta(seconds=30)


class _Config(uvicorn.Config):
    """uvicorn's own settings, and the bounds its connections find there."""

    connections: Connections
    times: Times


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: the process has one way to end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Listener:
    """One address at which an application answers."""

    def __init__(self, app: ASGIApp, host: str, port: int, limits: Limits) -> None:
        config = _Config(
            app,
            host=host,
            port=port,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            # Nobody here asks where a request came from, so nobody is told by a header of the sender's.
            proxy_headers=False,
            timeout_keep_alive=IDLE,
            timeout_graceful_shutdown=GRACE,
        )
        config.connections = self.connections = Connections(limits.connections, limits.per_address)
        config.times = Times(limits.head.total_seconds(), limits.answer.total_seconds())
        self._server = _Server(config)

    @property
    def port(self) -> int | None:
        """The port it listens on, once it does."""
        return self._server.servers[0].sockets[0].getsockname()[1] if self._server.started else None

    async def serve(self) -> None:
        """Answer until cancelled; then end every request within GRACE, with all that each holds."""
        try:
            await self._server.serve()
        except asyncio.CancelledError:
            await self._end()
            raise

    async def _end(self) -> None:
        if not self._server.started:
            return
        await self._server.shutdown()
        for connection in self.connections.all():
            connection.end()
        requests = list(self._server.server_state.tasks)
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
