"""A request that cannot be judged stops no other: it is set aside, and judged once a person has mended the reason."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from chfw_cli.aside import find, retry
from chfw_cli.chosen import Choice
from chfw_common.runtime.pieces import try_again
from chfw_common.runtime.roles import install_schemas
from tests.service.documents.stand import composed
from tests.support.databases import Databases
from tests.support.release import RELEASE, euis
from tests.support.serving import Stand, bearer, standing

PARTIES = ("elec", "gas", "third")


@pytest.fixture
async def intake(databases: Databases) -> AsyncIterator[Stand]:
    """Intake, with a release and hubs."""
    async with standing(databases, "chfw", install_schemas, lambda dsn: composed("instruction", dsn)) as stand:
        await stand.announce()
        await stand.load_hubs([1, 2, 3], imports="elec", gas="gas")
        yield stand


async def ask(stand: Stand, party: str) -> str:
    """A request of a Party."""
    headers = {**bearer(party, role="GS" if party == "gas" else "IS"), "Idempotency-Key": f'"{party}"'}
    body = {"kind": "instruct", "hubs": euis([1, 2])}
    answer = await stand.client.post(f"/v1/releases/{RELEASE}/instructions", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["request_id"])


async def test_others_are_judged_beside_a_request_that_cannot_be(intake: Stand) -> None:
    requests = {party: await ask(intake, party) for party in PARTIES}
    # As a time that Postgres knows as infinity stood there before times had bounds.
    await intake.fetch("update request set activate_at = 'infinity' where party = 'elec' returning 1")
    for _ in range(2):
        with pytest.raises(TypeError):
            await intake.work()
    await intake.work()
    done = dict(await intake.fetch("select party, done_at is not null from request"))
    assert done == {"elec": False, "gas": True, "third": True}
    assert [work["name"] for (work,) in await intake.fetch("select work from set_aside")] == [requests["elec"]]
    assert await intake.work() == 0, "it is not tried again by itself"

    await intake.fetch("update request set activate_at = null where party = 'elec' returning 1")
    operator = await asyncpg.connect(intake.dsn)
    try:
        work = await find(operator, Choice(service="instruction"))
        assert [piece.tick for piece in work] == ["jobs"]
        await retry(operator, work)
    finally:
        await operator.close()
    assert await try_again(intake.database, intake.service.ticks, intake.clock.now) == 1
    await intake.work()
    headers = bearer("elec")
    progress = (await intake.client.get(f"/v1/instructions/{requests['elec']}", headers=headers)).json()
    assert (progress["state"], progress["verdicts"]) == ("done", {"accepted": 2})
