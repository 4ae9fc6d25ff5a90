"""The routes of the simulated fleet."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from chfw_common.runtime.service import Tx
from chfw_device_sim.service import build
from chfw_device_sim.settings import Settings
from tests.support.routes import as_, client_of
from tests.support.settings import nowhere


@pytest.fixture
async def client(tx: Tx) -> AsyncIterator[httpx2.AsyncClient]:
    service = build(Settings(**nowhere()))
    async with client_of(service, tx) as found:
        yield found


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
