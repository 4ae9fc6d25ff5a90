"""The routes of the simulated fleet."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role
from chfw_common.runtime.database import Database
from chfw_common.runtime.http.app import create_app
from chfw_common.runtime.http.callers import Caller, TokenVerifier
from chfw_common.runtime.http.commands import Commands
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.service import Tx
from chfw_device_sim.service import build
from chfw_device_sim.settings import Settings

T0 = datetime(2026, 3, 1, tzinfo=UTC)
CALLERS = {
    "dcc": Caller(PartyId("dcc"), UserId("D-1"), Role.DCC),
    "alpha": Caller(PartyId("alpha"), UserId("U-1"), Role.IMPORT_SUPPLIER),
    "gamma": Caller(PartyId("gamma"), UserId("U-3"), Role.GAS_SUPPLIER),
    "csp": Caller(PartyId("csp"), UserId("C-1"), Role.CSP),
}


class OneTransaction(Database):
    """Every command in a savepoint of the test's transaction."""

    def __init__(self, tx: Tx) -> None:
        super().__init__(None)
        self._tx = tx

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        async with self._tx.transaction():
            yield self._tx


class ByName(TokenVerifier):
    """A token is a name."""

    def verify(self, token: str) -> Caller:
        return CALLERS[token]


class Still:
    """A clock that stands."""

    def now(self) -> Instant:
        return T0

    async def machine_sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@pytest.fixture
async def client(tx: Tx) -> AsyncIterator[httpx2.AsyncClient]:
    service = build(Settings(database_dsn="-", kafka_bootstrap="-", jwks_file=Path("-")))
    run = Commands(OneTransaction(tx), Still(), asyncio.Event())

    async def ready() -> str | None:
        return None

    app = create_app(service, run, ByName(Path("-"), "chfw"), Metrics("device-sim", service.consumes), ready)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://device-sim") as found:
        yield found


def as_(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}"}


def device(number: int, region: str = "North") -> dict[str, str]:
    return {
        "hub": f"00-00-00-00-00-00-00-{number:02X}",
        "region": region,
        "manufacturer": "106C",
        "model": "433100AC",
        "hardware": "0001",
        "firmware": "OLD",
    }


async def test_devices_are_loaded_and_paged(client: httpx2.AsyncClient) -> None:
    body = {"devices": [device(number) for number in (3, 1, 2)]}
    loaded = await client.post("/v1/devices:load", json=body, headers=as_("dcc"))
    assert (loaded.status_code, loaded.json()) == (200, {"new": 3, "known": 0})
    assert (await client.post("/v1/devices:load", json=body, headers=as_("dcc"))).json() == {"new": 0, "known": 3}
    first = (await client.get("/v1/devices", params={"limit": 2}, headers=as_("dcc"))).json()
    assert [entry["hub"][-2:] for entry in first["devices"]] == ["01", "02"]
    rest = (await client.get("/v1/devices", params={"limit": 2, "after": first["next"]}, headers=as_("dcc"))).json()
    assert [entry["hub"][-2:] for entry in rest["devices"]] == ["03"]
    assert rest["next"] is None
    assert (rest["devices"][0]["firmware"], rest["devices"][0]["activations"]) == ("OLD", 0)


async def test_a_device_needs_an_edge_and_the_routes_are_the_dccs(client: httpx2.AsyncClient) -> None:
    nowhere = await client.post("/v1/devices:load", json={"devices": [device(1, "Mars")]}, headers=as_("dcc"))
    assert (nowhere.status_code, nowhere.json()["code"]) == (422, "unknown_region")
    for path in ("/v1/devices", "/v1/fleet/assumptions"):
        assert (await client.get(path, headers=as_("alpha"))).status_code == 403


async def test_assumptions_are_printed_as_assumptions(client: httpx2.AsyncClient) -> None:
    said = (await client.get("/v1/fleet/assumptions", headers=as_("dcc"))).json()
    assert "assumption" in said["note"]
    assert (said["never_answers"], said["delivery"]["North"]["max"], len(said["edges"])) == (0.01, 259_200.0, 6)
    assert said["capacity"]["4G South"] == {"per_hour": 1_000_000, "in_flight": 1_000_000}
    assert (said["out_of_reach"]["North"], said["late"]["max"], said["delivery_grid_seconds"]) == (0.08, 43_200.0, 60.0)
