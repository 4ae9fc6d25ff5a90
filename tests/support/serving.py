"""A service on a real Postgres, driven through its routes, its job and its handlers, with the inventory's own view."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2
from fastapi import FastAPI

from chfw_common.events.base import Event
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import Mode
from chfw_common.runtime import envelope
from chfw_common.runtime.database import Database, open_database
from chfw_common.runtime.http.app import Door, create_app
from chfw_common.runtime.http.callers import Caller, TokenVerifier
from chfw_common.runtime.http.commands import Commands
from chfw_common.runtime.http.quotas import Admission, RequestQuota
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.service import Batch, Received, Service, Tx
from chfw_common.runtime.ticks import TickRunner
from chfw_common.topology import RELEASE_NOTIFIED, ROLLOUT_DECISION, Topic
from tests.support.databases import Databases
from tests.support.release import NOW, Answers, D, decision, notice, put_hubs
from tests.support.routes import PLENTY


class StoryClock:
    """A clock that a test sets."""

    def __init__(self, at: Instant) -> None:
        self.at = at

    def now(self) -> Instant:
        """The time set."""
        return self.at

    async def machine_sleep(self, seconds: float) -> None:
        """Not used here."""
        await asyncio.sleep(seconds)


class OpenTokens(TokenVerifier):
    """Takes `party|user|role` for a token."""

    def __init__(self) -> None:
        """Needs no keys."""

    async def verify(self, token: str) -> Caller:
        """The caller the text names."""
        party, user, role = token.split("|")
        return Caller(PartyId(party), UserId(user), Role(role))


def batch_of(topic: Topic, events: Iterable[Event], at: Instant, partition: int = 0) -> Batch[Any]:
    """Facts as one batch of a partition."""
    received = tuple(
        Received(n, envelope.event_id("test", topic.name, b"", n), at, event) for n, event in enumerate(events)
    )
    return Batch(topic.name, partition, received)


@dataclass
class Stand:
    """One service in one process, without a broker: what it publishes stays in its outbox."""

    service: Service
    database: Database
    clock: StoryClock
    client: httpx2.AsyncClient
    ticks: TickRunner
    dsn: str

    async def consume(self, topic: Topic, *events: Event) -> None:
        """Hand facts to the handler as one batch."""
        batch = batch_of(topic, events, self.clock.at)
        async with self.database.transaction() as tx:
            await self.service.consumes[topic].handler(tx, batch, self.clock.now)

    async def announce(self, **changes: Any) -> None:
        """Tell the service of the release."""
        await self.consume(RELEASE_NOTIFIED, notice(**changes))

    async def decide(self, epoch: int, mode: Mode, automatic_date: datetime = D, **changes: Any) -> None:
        """Tell the service of a decision."""
        await self.consume(ROLLOUT_DECISION, decision(epoch, mode, automatic_date, **changes))

    async def work(self, steps: int | None = None) -> int:
        """Call the jobs tick until it has nothing to do, or so often; says how often it ran."""
        ran = 0
        while steps is None or ran < steps:
            if not (await self.ticks.call(self.service.ticks[0], self.clock.now)).ran:
                break
            ran += 1
        return ran

    async def fetch(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Rows of the service's database."""
        async with self.database.transaction() as tx:
            return [tuple(row) for row in await tx.fetch(query, *arguments)]

    async def load_hubs(
        self, hubs: Iterable[int], *, imports: str = "elec", gas: str | None = "gas", region: str = "north"
    ) -> None:
        """Put commissioned hubs of the model into the inventory."""
        second = None if gas is None else Answers(gas, f"{gas}-gs")
        async with self.database.transaction() as tx:
            await put_hubs(tx, hubs, Answers(imports, f"{imports}-is"), second, firmware="9.1", region=region)


def app_of(
    service: Service,
    database: Database,
    clock: StoryClock,
    metrics: Metrics,
    verifier: TokenVerifier | None = None,
    quota: RequestQuota = PLENTY,
) -> FastAPI:
    """The service's application, always ready; it takes open tokens unless told how to verify. Quotas count by its
    clock.

    Where operators have routes of their own, it is theirs.
    """

    async def ready() -> None:
        return None

    door = Door.OPERATORS if service.operator_routes else Door.PUBLIC
    run, admission = Commands(database, clock, Wake(), clock.now), Admission(database, quota, clock.now)
    return create_app(service, run, verifier or OpenTokens(), metrics, ready, door=door, admission=admission)


def bearer(party: str, user: str | None = None, role: str = "IS") -> dict[str, str]:
    """The headers of a caller."""
    return {"Authorization": f"Bearer {party}|{user or f'{party}-{role.lower()}'}|{role}"}


Install = Callable[[Tx, str], Awaitable[object]]


@contextlib.asynccontextmanager
async def standing(
    databases: Databases,
    template: str,
    prepare: Install,
    build: Callable[[str], Service],
    verifier: TokenVerifier | None = None,
    quota: RequestQuota = PLENTY,
) -> AsyncIterator[Stand]:
    """A service that knows nothing yet, on a database of its own. `build` gets the address."""
    dsn = databases.clone(template, prepare)
    async with serving(build(dsn), dsn, verifier, quota) as stand:
        yield stand
    databases.drop(dsn)


@contextlib.asynccontextmanager
async def serving(
    service: Service, dsn: str, verifier: TokenVerifier | None = None, quota: RequestQuota = PLENTY
) -> AsyncIterator[Stand]:
    """A service on a database that is there; several may share it."""
    database = await open_database(dsn, service.name)
    clock, metrics = StoryClock(NOW), Metrics(service.name, service.consumes)
    transport = httpx2.ASGITransport(app_of(service, database, clock, metrics, verifier, quota))
    async with httpx2.AsyncClient(transport=transport, base_url=f"http://{service.name}") as client:
        yield Stand(service, database, clock, client, TickRunner(service, database, metrics), dsn)
    await database.close()
