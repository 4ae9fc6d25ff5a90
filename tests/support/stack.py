"""All six services in this process, on a Postgres and the local broker, as strangers and operators meet them."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from chfw_cli.demo.settings import service_settings
from chfw_cli.simulated import open_simulation
from chfw_cli.tokens import Issuer
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.roles import Role
from chfw_common.runtime.roles import install_schemas
from chfw_common.simulation.driver import Simulation
from chfw_common.topology import SERVICES, schema_of
from tests.support.databases import Databases
from tests.support.release import NOW

TROUBLES = {
    "parked_record": "select topic, kind, error from {schema}.parked_record",
    "parked_event": "select topic, error from {schema}.parked_event",
    "set_aside": "select tick, work::text, error from {schema}.set_aside",
    "tick_failure": "select tick, error from {schema}.tick_failure",
    "consume_failure": "select topic, error from {schema}.consume_failure",
    "outbox": "select topic from {schema}.outbox",
    "job": "select kind, name, state from {schema}.job where state <> 'done'",
}
"""What a service would leave behind that could not do something."""


@dataclass(frozen=True, slots=True)
class Who:
    """One User ID of a Party, in its role."""

    party: str
    user: str
    role: Role


DCC = Who("dcc", "dcc-1", Role.DCC)


@dataclass(frozen=True, slots=True)
class Stack:
    """The services behind their routes."""

    simulation: Simulation
    clients: Mapping[str, httpx2.AsyncClient]
    issuer: Issuer
    admin: "asyncpg.Connection[Any]"
    _keys: "count[int]" = field(default_factory=count)

    async def call(self, service: str, method: str, path: str, who: Who = DCC, **how: Any) -> httpx2.Response:
        """Call a route as somebody; a request that writes has a key of its own. No answer is a 5xx."""
        token = self.issuer.token(PartyId(who.party), UserId(who.user), who.role)
        headers = {"Authorization": f"Bearer {token}", **how.pop("headers", {})}
        if method != "GET":
            headers.setdefault("Idempotency-Key", f'"{next(self._keys)}"')
        answer = await self.clients[service].request(method, path, headers=headers, **how)
        assert answer.status_code < 500, (method, path, answer.text)
        return answer

    async def settle(self) -> None:
        """Let everything move that can move at this instant. Raises whatever failed unexpectedly."""
        await self.simulation.settle()

    async def run(self, span: timedelta) -> None:
        """Let so much time pass."""
        await self.simulation.run_until(self.simulation.clock.now() + span)

    async def fetch(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Rows of the database; schemas are named."""
        return [tuple(row) for row in await self.admin.fetch(query, *arguments)]

    async def troubles(self) -> dict[str, list[tuple[Any, ...]]]:
        """What any service could not do; nothing when all is well."""
        found = {
            f"{service}.{name}": await self.fetch(query.format(schema=schema_of(service)))
            for service in SERVICES
            for name, query in TROUBLES.items()
        }
        return {name: rows for name, rows in found.items() if rows}


@contextlib.asynccontextmanager
async def whole_stack(databases: Databases, keys: Path) -> AsyncIterator[Stack]:
    """The services on a database of their own."""
    dsn = databases.clone("chfw", install_schemas)
    issuer = Issuer.open(keys)
    async with contextlib.AsyncExitStack() as stack:
        simulation = await stack.enter_async_context(
            open_simulation(lambda _: dsn, keys / "jwks.json", NOW, settings=service_settings(1))
        )
        clients = {
            name: await stack.enter_async_context(
                httpx2.AsyncClient(transport=httpx2.ASGITransport(app=one.app), base_url=f"http://{name}")
            )
            for name, one in simulation.services.items()
        }
        admin = await asyncpg.connect(dsn)
        stack.push_async_callback(admin.close)
        yield Stack(simulation, clients, issuer, admin)
    databases.drop(dsn)
