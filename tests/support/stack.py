"""All six services in this process, on a Postgres and the local broker, as strangers and operators meet them."""

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from chfw_cli.demo.settings import service_settings
from chfw_cli.simulated import open_simulation
from chfw_cli.tokens import Issuer
from chfw_common.kernel.ids import PartyId, UserId, hub_eui64
from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.kernel.roles import Role
from chfw_common.runtime.errors import TransientError
from chfw_common.simulation.driver import Simulation
from chfw_common.topology import SERVICES, schema_of
from tests.support.databases import Databases, as_role
from tests.support.extremes import HUBS
from tests.support.release import NOW, RELEASE, D

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


PATIENCE = 20
"""How often what a busy machine did not let through is tried."""


async def patiently(work: Callable[[], Awaitable[None]]) -> None:
    """Do it again when Postgres was too slow: live, every loop of a service does so for ever."""
    for _ in range(PATIENCE):
        with contextlib.suppress(TransientError):
            return await work()
    return await work()


@dataclass(frozen=True, slots=True)
class Who:
    """One User ID of a Party, in its role."""

    party: str
    user: str
    role: Role


DCC = Who("dcc", "dcc-1", Role.DCC)
EUIS = [hub_eui64(hub) for hub in HUBS]
INSTRUCT = f"/v1/releases/{RELEASE}/instructions"


@dataclass(frozen=True, slots=True)
class Stack:
    """The services behind their routes."""

    simulation: Simulation
    clients: Mapping[str, httpx2.AsyncClient]
    issuer: Issuer
    admin: "asyncpg.Connection[Any]"
    _keys: "count[int]" = field(default_factory=count)

    async def call(self, service: str, method: str, path: str, who: Who = DCC, **how: Any) -> httpx2.Response:
        """Call a route as somebody; a request that writes has a key of its own.

        No answer is a 5xx, but for a 503 that is over when the same request is repeated: the machine is busy.
        """
        token = self.issuer.token(PartyId(who.party), UserId(who.user), who.role)
        headers = {"Authorization": f"Bearer {token}", **how.pop("headers", {})}
        if method != "GET":
            headers.setdefault("Idempotency-Key", f'"{next(self._keys)}"')
        for _ in range(PATIENCE):
            answer = await self.clients[service].request(method, path, headers=headers, **how)
            if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                break
        assert answer.status_code < 500, (method, path, answer.text)
        return answer

    async def settle(self) -> None:
        """Let everything move that can move at this instant. Raises whatever failed unexpectedly."""
        await patiently(self.simulation.settle)

    async def run(self, span: timedelta) -> None:
        """Let so much time pass."""
        until = self.simulation.clock.now() + span
        await patiently(lambda: self.simulation.run_until(until))

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
async def simulated(
    databases: Databases, dsn: str, keys: Path, begins: Instant, *, seed: int
) -> AsyncIterator[tuple[Simulation, dict[str, httpx2.AsyncClient]]]:
    """The services on a database, each as its own role, and a client of each."""
    async with contextlib.AsyncExitStack() as stack:
        simulation = await stack.enter_async_context(
            open_simulation(
                functools.partial(as_role, dsn),
                databases.server.server.password_file,
                keys / "jwks.json",
                begins,
                settings=service_settings(seed),
            )
        )
        clients = {
            name: await stack.enter_async_context(
                httpx2.AsyncClient(transport=httpx2.ASGITransport(app=one.app), base_url=f"http://{name}")
            )
            for name, one in simulation.services.items()
        }
        yield simulation, clients


@contextlib.asynccontextmanager
async def whole_stack(databases: Databases, keys: Path) -> AsyncIterator[Stack]:
    """The services on a database of their own."""
    dsn = databases.clone("chfw", databases.install)
    issuer = Issuer.open(keys)
    async with contextlib.AsyncExitStack() as stack:
        simulation, clients = await stack.enter_async_context(simulated(databases, dsn, keys, NOW, seed=1))
        admin = await asyncpg.connect(dsn)
        stack.push_async_callback(admin.close)
        yield Stack(simulation, clients, issuer, admin)
    databases.drop(dsn)


@dataclass(frozen=True)
class Cast:
    """Who takes part in a story, and what the hubs are."""

    suppliers: tuple[Who, Who]
    make: dict[str, str]
    old: str
    new: str

    @property
    def cpl(self) -> dict[str, Any]:
        """The entry of the Central Products List that fits the hubs."""
        return {**self.make, "hardware": [self.make["hardware"]], "firmware": self.new, "image_hash": "ab" * 32}


PLAIN = Cast(
    (Who("elec", "elec-is", Role.IMPORT_SUPPLIER), Who("gas", "gas-gs", Role.GAS_SUPPLIER)),
    {"manufacturer": "Acme", "model": "CH9", "hardware": "H1"},
    "9.1",
    "9.2",
)


async def estate(stack: Stack, cast: Cast, **more: Any) -> None:
    """Every hub with both Suppliers in the inventory and in the network; `more` is said of each record and Supplier."""
    elec, gas = cast.suppliers
    responsible = [
        {"party": one.party, "user_id": one.user, "role": one.role.value, **more.get("responsible", {})}
        for one in (elec, gas)
    ]
    record = {**cast.make, "firmware": cast.old, "region": "North"}
    hubs = [{"hub": hub, "gbcs": "4.1", "responsible": responsible, **record, **more.get("record", {})} for hub in EUIS]
    await done(stack, "smi", "POST", "/v1/hubs:load", json={"hubs": hubs})
    devices = [{"hub": hub, **record} for hub in EUIS]
    await done(stack, "device-sim", "POST", "/v1/devices:load", json={"devices": devices})


async def announce(stack: Stack, cast: Cast, **more: Any) -> None:
    """The release for these hubs."""
    notice = {"release_id": RELEASE, "cpl": cast.cpl, "kind": "planned", "severity": "low", "priority": 3,
              "note_reference": "RN", "automatic_date": format_instant(D), **more}  # fmt: skip
    await done(stack, "notifier", "POST", "/v1/releases", json=notice)


async def done(stack: Stack, service: str, method: str, path: str, **how: Any) -> Any:
    """The answer to a request that must succeed, once all that follows from it has happened."""
    answer = await stack.call(service, method, path, **how)
    assert answer.is_success, answer.text
    await stack.settle()
    return answer.json()
