"""A history's transaction on the real Postgres, and the loop it belongs to."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, ClassVar

from chfw_common.runtime.database import open_database
from chfw_common.runtime.service import Tx
from tests.histories.machine import Histories, T


class PostgresHistories(Histories):
    """Histories on Postgres, each undone at its end. `dsn` is the address of a database with all schemas."""

    dsn: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()

    def close_world(self) -> None:
        """Undo it."""
        self.run(self._stack.aclose())
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it in the loop that the connection belongs to."""
        return self._runner.run(work)

    def begin_transaction(self) -> Tx:
        """The history's own."""
        return self.run(self._begin())

    async def _begin(self) -> Tx:
        server_settings = {"idle_in_transaction_session_timeout": "0"}
        database = await open_database(self.dsn, "scheduler", connections=1, settings=server_settings)
        self._stack.push_async_callback(database.close)
        tx = await self._stack.enter_async_context(database.pool.acquire())
        transaction = tx.transaction()
        await transaction.start()
        self._stack.push_async_callback(transaction.rollback)
        return tx
