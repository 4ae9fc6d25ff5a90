"""Long lists as CSV: page by page from Postgres into the response, as fast as the client reads and no faster."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from fastapi.responses import StreamingResponse

from chfw_common.kernel.ids import PartyId
from chfw_common.runtime.http.paging import CSV, VARY
from chfw_common.runtime.http.problems import Problem

AT_ONCE = 4
_PIECES = 4

Write = Callable[[bytes], Awaitable[None]]


class Exports:
    """The exports under way. Each is a heavy read, so their number is bounded."""

    def __init__(self) -> None:
        self._parties: set[PartyId] = set()

    def csv(self, party: PartyId, produce: Callable[[Write], Awaitable[None]], name: str) -> StreamingResponse:
        """What `produce` writes, as a download. Raises Problem 429 when the Party, or the process, has enough."""
        if party in self._parties or len(self._parties) >= AT_ONCE:
            raise Problem(
                429, "too_many_exports", "One export for each Party at a time.", headers={"Retry-After": "10"}
            )
        headers = {**VARY, "Content-Disposition": f'attachment; filename="{name}.csv"'}
        return StreamingResponse(self._limited(party, produce), media_type=CSV, headers=headers)

    async def _limited(self, party: PartyId, produce: Callable[[Write], Awaitable[None]]) -> AsyncIterator[bytes]:
        self._parties.add(party)
        try:
            async with contextlib.aclosing(pieces(produce)) as found:
                async for piece in found:
                    yield piece
        finally:
            self._parties.discard(party)


async def pieces(produce: Callable[[Write], Awaitable[None]]) -> AsyncGenerator[bytes, None]:
    """What `produce` writes, piece by piece: it waits while a few are unread, and ends when nobody reads on."""
    written: asyncio.Queue[bytes | None] = asyncio.Queue(_PIECES)
    abandoned = asyncio.Event()

    async def run() -> None:
        try:
            await produce(written.put)
        finally:
            if not abandoned.is_set():
                await written.put(None)

    producer = asyncio.create_task(run())
    try:
        while (piece := await written.get()) is not None:
            yield piece
        await producer
    finally:
        abandoned.set()
        producer.cancel()
        await asyncio.gather(producer, return_exceptions=True)
