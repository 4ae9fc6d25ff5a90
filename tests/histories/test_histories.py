"""Random histories through the stages of five services, on the real Postgres.

`make test` runs a few of them, `make fuzz` 500. The counts are printed with `-s`.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from chfw_common.runtime.database import open_database
from chfw_common.runtime.service import Tx
from tests.histories.machine import Histories, T, Tally
from tests.histories.stages import StagesWorld
from tests.support.fuzzing import inputs


class StagesHistories(Histories):
    """Histories on Postgres. `dsn` is the address of a database with all schemas."""

    dsn: ClassVar[str] = ""
    tally = Tally()

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()

    def open_world(self, seed: int) -> StagesWorld:
        """A transaction of its own for each history."""
        return StagesWorld(self.run(self._begin()), seed)

    def close_world(self) -> None:
        """Undo it."""
        self.run(self._stack.aclose())
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it in the loop that the connection belongs to."""
        return self._runner.run(work)

    async def _begin(self) -> Tx:
        server_settings = {"idle_in_transaction_session_timeout": "0"}
        database = await open_database(self.dsn, "scheduler", connections=1, settings=server_settings)
        self._stack.push_async_callback(database.close)
        tx = await self._stack.enter_async_context(database.pool.acquire())
        transaction = tx.transaction()
        await transaction.start()
        self._stack.push_async_callback(transaction.rollback)
        return tx


def test_the_invariants_hold_after_each_step_of_any_history(chfw_dsn: str) -> None:
    StagesHistories.dsn = chfw_dsn
    many = inputs(quick=15, long=500)
    run_state_machine_as_test(StagesHistories, settings=settings(many, stateful_step_count=40, deadline=None))
    print(StagesHistories.tally)  # noqa: T201
