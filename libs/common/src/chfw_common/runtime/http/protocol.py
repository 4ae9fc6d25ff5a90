"""One HTTP connection with bounds: bytes and time of a head, time for an answer to be taken, what is read for nothing.

uvicorn's own protocol does the work. What is out of bounds is refused before a request is made of it.
"""

import asyncio
import socket
from asyncio.events import TimerHandle
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from chfw_common.runtime.http.connections import Connections
from chfw_common.runtime.http.problems import Problem, render

HEAD_BYTES = 16 << 10
"""The most bytes of a head, and of anything else that is no content of a body: trailers, extensions of chunks."""
TARGET_BYTES = 8 << 10
"""The most bytes of the target of a request: its path and its query."""
PIPELINED = 8
"""Requests that may wait on one connection for the answer before theirs."""
SEND_BYTES = 256 << 10
"""What the kernel may keep of an answer for a client that does not take it; left to itself it keeps 4 MiB."""
UNREAD_BYTES = 1 << 20
"""Bytes of a body that are read although its request is answered, so that the client comes to read the answer."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. `head`: for the head of a request. `answer`: for a client to take what waits to be sent to it."""

    head: float
    answer: float


class BoundedProtocol(HttpToolsProtocol):
    """A connection that ends when its client goes beyond the bounds. Its settings have `connections` and `times`."""

    def __init__(
        self,
        config: Any,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._connections: Connections = config.connections
        self._times: Times = config.times
        self._in_head = True
        self._begun = False
        self._plain = 0
        self._unread = 0
        self._refused = False
        self._patience: TimerHandle | None = None
        self._flush: TimerHandle | None = None

    def end(self) -> None:
        """Close it at once, with what has not been sent."""
        self._refused = True
        self.transport.abort()

    # What the transport tells.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there; it has so long for its first head."""
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        if self._connections.admit(self, self.client[0] if self.client else ""):
            self._wait()
        else:
            self._refuse(Problem(503, "busy", "Too many connections.", headers={"Retry-After": "5"}))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._connections.gone(self)
        self._stop_waiting()
        self._flushed()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, a head no further than its bound."""
        if self._in_head and not self._refused:
            room = max(HEAD_BYTES + 1 - self._plain, 1)
            self._feed(data[:room])
            data = data[room:]
        if data and not self._refused:
            self._feed(data)
        if self._in_head and not self._refused and not self._busy:
            self._wait()

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        super().pause_writing()
        self._must_take()

    def resume_writing(self) -> None:
        """The client has taken most of it."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._flushed()

    # What the parser finds.
    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._begun = True
        self._wait()

    def on_headers_complete(self) -> None:
        """A head is whole: look at its length, which may have come in one piece with the body."""
        if self._refused:
            return
        self._in_head, self._begun, self._plain, self._unread = False, False, 0, 0
        self._stop_waiting()
        self._connections.works(self)
        if len(self.url) > TARGET_BYTES:
            self._refuse(Problem(414, "target_too_long", f"The target has more than {TARGET_BYTES} bytes."))
        elif len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_BYTES:
            self._refuse(_long_head())
        elif len(self.pipeline) >= PIPELINED:
            self.end()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Content, wanted or not."""
        self._plain = 0
        if self._refused:
            return
        if self.cycle.response_complete:
            self._unread += len(body)
            if self._unread > UNREAD_BYTES:
                self._close()
                return
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The next that comes is a head."""
        if self._refused:
            return
        self._in_head, self._plain = True, 0
        self._stop_waiting()
        super().on_message_complete()

    # What uvicorn makes of it.
    def on_response_complete(self) -> None:
        """An answer was handed to the transport: the client has so long to take it, and to end its body."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._must_take()
        elif not self._busy:
            self._connections.waits(self)
            if not self._in_head:
                self._wait()

    def send_400_response(self, msg: str) -> None:
        """The parser, or what reads its findings, gave up."""
        if not self._refused:
            self._refuse(Problem(400, "malformed_request", msg))

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for a while."""
        self._close()

    @property
    def _busy(self) -> bool:
        """Whether an answer is under way."""
        # uvicorn calls it never None, and begins with None.
        found: RequestResponseCycle | None = self.cycle
        return found is not None and not found.response_complete

    def _feed(self, data: bytes) -> None:
        self._plain += len(data)
        super().data_received(data)
        if self._plain > HEAD_BYTES and not self._refused:
            self._refuse(_long_head())

    def _wait(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(self._times.head, self._tired)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _tired(self) -> None:
        self._patience = None
        if self._busy:
            # A head that came while an answer is under way is waited for behind it.
            self._wait()
        elif self._begun:
            seconds = int(self._times.head)
            self._refuse(Problem(408, "head_too_slow", f"The head was not whole after {seconds} s."))
        else:
            self._close()

    def _must_take(self) -> None:
        if self._flush is None:
            self._flush = self.loop.call_later(self._times.answer, self.end)

    def _flushed(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None

    def _close(self) -> None:
        """Close it once everything is sent, and no later than clients may take for that."""
        self._refused = True
        if not self.transport.is_closing():
            self.transport.close()
        self._must_take()

    def _refuse(self, problem: Problem) -> None:
        """Answer without a request, and close. In the middle of another answer there is nothing to say."""
        if self.pipeline or (self._busy and self.cycle.response_started):
            self.end()
            return
        if self._busy:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        problem.headers["Connection"] = "close"
        response = render(problem)
        head = b"".join(b"%b: %b\r\n" % pair for pair in response.raw_headers)
        self.transport.write(STATUS_LINE[problem.status] + head + b"\r\n" + bytes(response.body))
        self._close()


def _long_head() -> Problem:
    return Problem(431, "head_too_long", f"The head has more than {HEAD_BYTES} bytes.")
