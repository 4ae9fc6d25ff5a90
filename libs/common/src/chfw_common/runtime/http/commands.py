"""How a route reaches the truth: a command in one transaction with its events, or a read, each for its caller."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request

from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role
from chfw_common.runtime.access import PARTY
from chfw_common.runtime.audit.log import append
from chfw_common.runtime.audit.record import Entry, as_json
from chfw_common.runtime.clock import Clock, machine_now
from chfw_common.runtime.database import Database
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.http.idempotency import HEADER, LONGEST
from chfw_common.runtime.jobs import start_job
from chfw_common.runtime.outbox import Wake, write_outbox
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Answered, Change, Now, Tx
from chfw_common.runtime.transient import transient_as_error
from chfw_common.topology import schema_of

A = TypeVar("A")
R = TypeVar("R")

QUERIES = load_queries("chfw_common.runtime", "sql/commands.sql")
LONGEST_KEY = LONGEST + 2
"""Characters of an Idempotency-Key that the audit log keeps: the longest there is, with its quotes."""


class Commands:
    """Runs the commands and the reads of a service's routes, each as its caller may.

    What a caller other than the DCC asks for runs for its Party: as the role to which row security shows the rows of
    that Party alone (`runtime.access`). So a statement that forgets its condition gives nothing of another Party away.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        wake: Wake,
        machine_now: Callable[[], Instant] = machine_now,
        *,
        asked_as: str = "",
    ) -> None:
        """`asked_as` is the Idempotency-Key of the request that is served, for the audit log."""
        self._database = database
        self._clock = clock
        self._wake = wake
        self._asked_as = asked_as
        self.machine_now = machine_now
        """The machine's own time, for what protects the machine."""

    def serving(self, asked_as: str) -> "Commands":
        """The same for one request, which states this Idempotency-Key."""
        return Commands(self._database, self._clock, self._wake, self.machine_now, asked_as=asked_as)

    def now(self) -> Instant:
        """The roll-out's time."""
        return self._clock.now()

    async def run(self, command: Callable[[Tx, R, Now], Awaitable[Answered[A]]], request: R, caller: Caller) -> A:
        """Run a command: its effect, its jobs, its events and its audit record commit together, or none of them.

        All but the effect is written as the service: a request of a Party has no right to what the main line lives by.
        """
        async with transient_as_error(), self._database.transaction() as tx:
            await self._act_for(tx, caller)
            answered = await command(tx, request, self._clock.now)
            if answered.jobs or answered.outgoing or answered.change:
                await self._act_as_the_service(tx, caller)
            lanes = await write_effects(tx, answered, self._clock.now())
            if answered.change is not None:
                entry = entry_of(answered.change, caller, self._asked_as)
                await append(tx, schema_of(self._database.service), entry)
        self._wake.lanes(lanes)
        return answered.answer

    @contextlib.asynccontextmanager
    async def reading(self, caller: Caller) -> AsyncIterator[Tx]:
        """A transaction in which the caller reads."""
        async with transient_as_error(), self._database.transaction() as tx:
            await self._act_for(tx, caller)
            yield tx

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[Tx]:
        """A connection for a single read of the service itself: no transaction, so there is no COMMIT to be lost."""
        async with transient_as_error(), self._database.looking() as connection:
            yield connection

    async def _act_for(self, tx: Tx, caller: Caller) -> None:
        if caller.role is not Role.DCC:
            await tx.execute(QUERIES["act_for_party"], self._database.party_role, PARTY, caller.party)

    async def _act_as_the_service(self, tx: Tx, caller: Caller) -> None:
        if caller.role is not Role.DCC:
            await tx.execute(QUERIES["act_as_the_service"], PARTY)


async def commands(request: Request) -> Commands:
    """The commands of the service a request came to (a dependency)."""
    found: Commands = request.app.state.commands
    return found.serving(request.headers.get(HEADER, "")[:LONGEST_KEY])


async def write_effects(tx: Tx, answered: Answered[Any], now: Instant) -> frozenset[int]:
    """Start the jobs and write the events of a command. Gives the lanes that the events took."""
    for job in answered.jobs:
        await start_job(tx, job.kind, job.name, job.args, now, queue=job.queue)
    return await write_outbox(tx, answered.outgoing, answered.cause, now)


def entry_of(change: Change, caller: Caller, asked_as: str) -> Entry:
    """A change as the audit log keeps it."""
    return Entry(
        at=machine_now(),
        party=caller.party,
        user_id=caller.user_id,
        role=caller.role.value,
        token=caller.token,
        request=asked_as,
        action=change.action,
        subject=change.subject,
        before=as_json(change.before),
        after=as_json(change.after),
    )
