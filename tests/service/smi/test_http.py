"""The routes of the inventory, with callers of each kind."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from chfw_common.runtime.service import Tx
from chfw_smi.service import build
from chfw_smi.settings import Settings
from tests.support.routes import as_, client_of
from tests.support.settings import nowhere

HUB = {
    "hub": "00-00-00-00-00-00-00-01",
    "gpf": "00-00-00-00-00-00-00-02",
    "manufacturer": "106C",
    "model": "433100AC",
    "hardware": "0001",
    "firmware": "OLD",
    "gbcs": "4.1",
    "region": "North",
    "responsible": [
        {"party": "alpha", "user_id": "U-1", "role": "IS", "since": "2026-01-01T00:00:00Z"},
        {"party": "beta", "user_id": "U-2", "role": "GS"},
    ],
}


@pytest.fixture
async def client(tx: Tx) -> AsyncIterator[httpx2.AsyncClient]:
    service = build(Settings(**nowhere()))
    async with client_of(service, tx) as found:
        yield found


async def test_the_dcc_loads_and_looks_up(client: httpx2.AsyncClient, tx: Tx) -> None:
    loaded = await client.post("/v1/hubs:load", json={"hubs": [HUB]}, headers=as_("dcc"))
    assert (loaded.status_code, loaded.json()) == (200, {"new": 1, "changed": 0, "unchanged": 0})
    again = await client.post("/v1/hubs:load", json={"hubs": [HUB]}, headers=as_("dcc"))
    assert again.json() == {"new": 0, "changed": 0, "unchanged": 1}
    assert await tx.fetchval("select count(*) from outbox") == 1
    shown = (await client.get(f"/v1/hubs/{HUB['hub']}", headers=as_("dcc"))).json()
    assert (shown["hub"], shown["gpf"], shown["smi_version"]) == (HUB["hub"], HUB["gpf"], 1)
    assert shown["responsible"] == [
        {"party": "alpha", "user_id": "U-1", "role": "IS", "since": "2026-01-01T00:00:00Z"},
        {"party": "beta", "user_id": "U-2", "role": "GS", "since": "2026-03-01T00:00:00Z"},
    ]


async def test_codes_are_stored_as_they_are_compared(client: httpx2.AsyncClient, tx: Tx) -> None:
    lower = {**HUB, "manufacturer": "106c", "model": "433100ac", "hardware": "00ac", "firmware": " 0102040a "}
    await client.post("/v1/hubs:load", json={"hubs": [lower]}, headers=as_("dcc"))
    shown = (await client.get(f"/v1/hubs/{HUB['hub']}", headers=as_("dcc"))).json()
    found = tuple(shown[name] for name in ("manufacturer", "model", "hardware", "firmware"))
    assert found == ("106C", "433100AC", "00AC", "0102040A")
    upper = {**lower, "firmware": "0102040A", "model": "433100AC"}
    again = await client.post("/v1/hubs:load", json={"hubs": [upper]}, headers=as_("dcc"))
    assert again.json() == {"new": 0, "changed": 0, "unchanged": 1}
    ((payload,),) = await tx.fetch("select payload from outbox")
    assert b'"firmware":"0102040A"' in payload


async def test_a_hub_of_somebody_else_looks_like_no_hub(client: httpx2.AsyncClient) -> None:
    await client.post("/v1/hubs:load", json={"hubs": [HUB]}, headers=as_("dcc"))
    mine = await client.get(f"/v1/hubs/{HUB['hub']}", headers=as_("alpha"))
    assert (mine.status_code, mine.json()["second_supplier"]) == (200, True)
    assert "beta" not in mine.text
    others = await client.get(f"/v1/hubs/{HUB['hub']}", headers=as_("gamma"))
    nobodys = await client.get("/v1/hubs/00-00-00-00-00-00-00-99", headers=as_("gamma"))
    assert others.status_code == nobodys.status_code == 404
    assert others.content == nobodys.content
    assert (await client.get(f"/v1/hubs/{HUB['hub']}", headers=as_("csp"))).status_code == 403
    assert (await client.post("/v1/hubs:load", json={"hubs": [HUB]}, headers=as_("alpha"))).status_code == 403


async def test_changes_of_supplier(client: httpx2.AsyncClient) -> None:
    await client.post("/v1/hubs:load", json={"hubs": [HUB]}, headers=as_("dcc"))
    changes = [
        {"hub": HUB["hub"], "role": "GS", "party": "gamma", "user_id": "U-3"},
        {"hub": "00-00-00-00-00-00-00-99", "role": "IS"},
    ]
    done = await client.post("/v1/hubs:change-supplier", json={"changes": changes}, headers=as_("dcc"))
    assert done.json() == {"changed": 1, "unchanged": 0, "unknown": ["00-00-00-00-00-00-00-99"]}
    assert (await client.get(f"/v1/hubs/{HUB['hub']}", headers=as_("gamma"))).status_code == 200


async def test_an_empty_role_has_no_since(client: httpx2.AsyncClient) -> None:
    change = {"hub": HUB["hub"], "role": "GS", "since": "2026-01-01T00:00:00Z"}
    answer = await client.post("/v1/hubs:change-supplier", json={"changes": [change]}, headers=as_("dcc"))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "since says from when a Party answers" in answer.text


async def test_refusals_say_why(client: httpx2.AsyncClient) -> None:
    await client.post("/v1/hubs:load", json={"hubs": [HUB]}, headers=as_("dcc"))
    taken = HUB | {"hub": "00-00-00-00-00-00-00-05"}
    answer = await client.post("/v1/hubs:load", json={"hubs": [taken]}, headers=as_("dcc"))
    assert (answer.status_code, answer.json()["code"]) == (409, "gpf_taken")
    twice = await client.post("/v1/hubs:load", json={"hubs": [HUB, HUB]}, headers=as_("dcc"))
    assert twice.status_code == 422
    assert (await client.get("/v1/hubs/nonsense", headers=as_("dcc"))).status_code == 422


async def test_the_dcc_sees_which_status_applied_from_when(client: httpx2.AsyncClient, tx: Tx) -> None:
    for status, since in (("Commissioned", "01"), ("Suspended", "02"), ("Suspended", "02"), ("Recovered", "03")):
        hub = HUB | {"status": status, "status_since": f"2026-02-{since}T00:00:00Z"}
        await client.post("/v1/hubs:load", json={"hubs": [hub]}, headers=as_("dcc"))
    shown = (await client.get(f"/v1/hubs/{HUB['hub']}", headers=as_("dcc"))).json()
    assert (shown["status"], shown["status_since"]) == ("Recovered", "2026-02-03T00:00:00Z")
    assert shown["former_statuses"] == [
        {"status": "Commissioned", "since": "2026-02-01T00:00:00Z", "until": "2026-02-02T00:00:00Z"},
        {"status": "Suspended", "since": "2026-02-02T00:00:00Z", "until": "2026-02-03T00:00:00Z"},
    ]
    assert "former_statuses" not in (await client.get(f"/v1/hubs/{HUB['hub']}", headers=as_("alpha"))).json()
    assert await tx.fetchval("select count(*) from former_status") == 2
