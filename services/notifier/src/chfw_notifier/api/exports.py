"""Long lists as CSV: page by page from Postgres into the answer, as fast as the client reads and no faster."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack

from chfw_common.kernel.ids import PartyId
from chfw_common.runtime.http.lines import Lines
from chfw_common.runtime.http.paging import CSV, VARY
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.service import Tx

AT_ONCE = 4
"""Pages that are read at once in a process: each is a heavy read. One that waits for its client does not count."""

Reading = Callable[[], AbstractAsyncContextManager[Tx]]


class Exports:
    """The exports under way: one for each Party."""

    def __init__(self) -> None:
        self._parties: set[PartyId] = set()
        self._reads = asyncio.Semaphore(AT_ONCE)

    def csv(
        self, party: PartyId, holds: ExitStack, lines: Callable[[], AsyncGenerator[bytes, None]], name: str
    ) -> Lines:
        """The lines as a download, which counts until `holds` ends. Raises Problem 429 when the Party has one."""
        if party in self._parties:
            raise Problem(
                429, "too_many_exports", "One export for each Party at a time.", headers={"Retry-After": "10"}
            )
        self._parties.add(party)
        holds.callback(self._parties.discard, party)
        return Lines(lines(), CSV, {**VARY, "Content-Disposition": f'attachment; filename="{name}.csv"'})

    def reading(self, reading: Reading) -> Reading:
        """The same transactions to read in, so many at once."""

        @contextlib.asynccontextmanager
        async def in_turn() -> AsyncIterator[Tx]:
            async with self._reads, reading() as tx:
                yield tx

        return in_turn
