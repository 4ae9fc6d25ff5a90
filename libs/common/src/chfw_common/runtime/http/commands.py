"""How a route reaches the truth: a command in one transaction with its events, or a read."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from fastapi import Request

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.clock import Clock, machine_now
from chfw_common.runtime.database import Database
from chfw_common.runtime.outbox import Wake, write_outbox
from chfw_common.runtime.service import Answered, Now, Tx
from chfw_common.runtime.transient import transient_as_error

A = TypeVar("A")
R = TypeVar("R")


class Commands:
    """Runs the commands of a service's routes."""

    def __init__(
        self, database: Database, clock: Clock, wake: Wake, machine_now: Callable[[], Instant] = machine_now
    ) -> None:
        self._database = database
        self._clock = clock
        self._wake = wake
        self.machine_now = machine_now
        """The machine's own time, for what protects the machine."""

    def now(self) -> Instant:
        """The roll-out's time."""
        return self._clock.now()

    async def run(self, command: Callable[[Tx, R, Now], Awaitable[Answered[A]]], request: R) -> A:
        """Run a command: its effect and its events commit together, or neither."""
        async with transient_as_error(), self._database.transaction() as tx:
            answered = await command(tx, request, self._clock.now)
            lanes = await write_outbox(tx, answered.outgoing, answered.cause, self._clock.now())
        self._wake.lanes(lanes)
        return answered.answer

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[Tx]:
        """A transaction to read in."""
        async with transient_as_error(), self._database.transaction() as tx:
            yield tx

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[Tx]:
        """A connection for a single read of the service itself: no transaction, so there is no COMMIT to be lost."""
        async with transient_as_error(), self._database.looking() as connection:
            yield connection


async def commands(request: Request) -> Commands:
    """The commands of the service a request came to (a dependency)."""
    found: Commands = request.app.state.commands
    return found
