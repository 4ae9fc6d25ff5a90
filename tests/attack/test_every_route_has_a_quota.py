"""No route of any service forgets the quota of the Party that asks; the DCC has none."""

import pytest

from chfw_cli.simulated import COMPOSITIONS
from chfw_common.runtime.http.quotas import RequestQuota
from chfw_common.runtime.roles import install_schemas
from tests.service.documents.stand import composed, document
from tests.support.databases import Databases
from tests.support.serving import Stand, bearer, standing

ONE = RequestQuota(per_minute=1, burst=1, at_once=10)
FILLED = {
    "release_id": "none",
    "request_id": "00000000-0000-0000-0000-000000000000",
    "eui64": "00-DB-12-34-44-EA-B8-96",
}


def routes(name: str) -> list[tuple[str, str]]:
    """Every method and path, with something in each place of the path."""
    paths = document(name)["paths"]
    return [(method.upper(), path.format(**FILLED)) for path, methods in paths.items() for method in methods]


async def ask(stand: Stand, method: str, path: str, role: str) -> tuple[int, str | None]:
    headers = {**bearer("elec", role=role), "Idempotency-Key": '"k"'}
    answer = await stand.client.request(method, path, headers=headers, json={} if method != "GET" else None)
    return answer.status_code, answer.json().get("code")


@pytest.mark.parametrize("name", COMPOSITIONS)
async def test_a_party_whose_bucket_is_empty_gets_nothing_from_any_route(databases: Databases, name: str) -> None:
    async with standing(databases, "quotas", install_schemas, lambda dsn: composed(name, dsn), quota=ONE) as stand:
        async with stand.database.transaction() as tx:
            await tx.execute("insert into request_bucket values ('elec', 0, $1)", stand.clock.at)
        for method, path in routes(name):
            for role in ("IS", "GS", "CSP", "PANEL"):
                found = await ask(stand, method, path, role)
                assert found in {(429, "too_many_requests"), (403, "wrong_role")}, (method, path, role)
            assert (await ask(stand, method, path, "DCC"))[0] != 429, (method, path)
        samples = {
            sample.labels["code"]: sample.value
            for family in stand.ticks.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "chfw_http_over_quota_total"
        }
        assert (samples["too_many_requests"] > 0) == (name in {"instruction", "notifier", "smi", "governance"})
