"""Long answers, made while they are read: nothing of one outlives its request, however that ends."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

HOLDS = "holds"
"""Where a request has what it holds, in the state of its scope."""


def holds(request: Request) -> contextlib.ExitStack:
    """What is given back when the request has ended: answered, failed, cancelled, or its client gone."""
    found: contextlib.ExitStack = request.scope["state"][HOLDS]
    return found


class Lines(StreamingResponse):
    """The lines of a generator, which is closed with the answer. Left alone, it would wait for the garbage collector.

    The generator may hold nothing at a `yield`: it waits there for the client.
    """

    def __init__(self, lines: AsyncGenerator[bytes, None], media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(lines, media_type=media_type, headers=headers)
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them, as fast as the client reads."""

        async def in_turn(message: Message) -> None:
            await send(message)
            # A server takes what it can, and all for a client that is gone: without this the loop might never turn.
            await asyncio.sleep(0)

        async with contextlib.aclosing(self._lines):
            await super().__call__(scope, receive, in_turn)
