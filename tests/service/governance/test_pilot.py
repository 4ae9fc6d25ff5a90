"""A release runs after a pilot that has shown something, or for a reason that everybody is told (R2-0, R2-7)."""

import asyncio
import json

import asyncpg
import pytest

from chfw_common.kernel.rollout import HubState
from chfw_governance.store import releases
from tests.service.governance.test_decisions import listed, post
from tests.service.notifier.estates import Estate, fill
from tests.support.release import RELEASE
from tests.support.serving import Stand

WHY = "It mends a fault that disconnects homes."
ENDED = {HubState.ACTIVATED, HubState.CONFIRMED, HubState.FAILED_FINAL}


async def begin(stand: Stand, *hubs: Estate) -> None:
    """A pilot has begun, with these hubs in the ledger."""
    await stand.announce()
    await fill(stand, *hubs, ledger_only=True)
    assert (await post(stand, "pilot", "pilot")).status_code == 201


async def test_a_pilot_without_any_hub_is_not_followed_by_run(stand: Stand) -> None:
    await begin(stand, Estate(1, state="confirmed"))
    answer = await post(stand, "k1", "run", confirmed_by="SEC Panel")
    assert (answer.status_code, answer.json()["code"]) == (409, "pilot_untried")
    await post(stand, "k2", "pause")
    answer = await post(stand, "k3", "run", confirmed_by="SEC Panel")
    assert answer.json()["code"] == "pilot_untried", "nor by way of a pause"
    assert [decision["mode"] for decision in await listed(stand)] == ["pilot", "pause"]


async def test_it_is_for_a_reason_that_is_told(stand: Stand) -> None:
    await begin(stand)
    answer = await post(stand, "k1", "run", without_pilot=WHY)
    assert (answer.status_code, answer.json()["without_pilot"]) == (201, WHY)
    assert [decision["without_pilot"] for decision in await listed(stand)] == [None, WHY]
    told = [json.loads(payload) for (payload,) in await stand.fetch("select payload from outbox order by id")]
    assert [event["without_pilot"] for event in told] == [None, WHY]


@pytest.mark.parametrize("state", HubState)
async def test_one_hub_that_has_come_to_an_end_is_enough(stand: Stand, state: HubState) -> None:
    await begin(stand, Estate(1, state=state.value, pilot=True), Estate(2, state="eligible", pilot=True))
    answer = await post(stand, "k1", "run")
    if state in ENDED:
        assert answer.status_code == 201
    else:
        assert answer.json()["code"] == "pilot_untried"


async def test_a_reason_that_is_not_true_is_refused(stand: Stand) -> None:
    await begin(stand, Estate(1, state="confirmed", pilot=True))
    for number, mode in enumerate(("run", "pause", "held")):
        answer = await post(stand, f"k{number}", mode, without_pilot=WHY)
        assert (answer.status_code, answer.json()["code"]) == (422, "pilot_tried")
    assert len(await listed(stand)) == 1


async def test_another_release_s_pilot_shows_nothing(stand: Stand) -> None:
    await begin(stand, Estate(1, state="confirmed", pilot=True, release_id="another"))
    assert (await post(stand, "k1", "run")).json()["code"] == "pilot_untried"


async def test_of_two_that_end_the_pilot_at_once_one_is_refused(stand: Stand) -> None:
    await begin(stand)
    answers = await asyncio.gather(*(post(stand, f"k{n}", "run", without_pilot=WHY) for n in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert [decision["epoch"] for decision in await listed(stand)] == [1, 2]


async def test_the_role_of_governance_may_read_what_the_pilot_has_shown(chfw_dsn: str) -> None:
    connection = await asyncpg.connect(chfw_dsn)
    try:
        await connection.execute("set role chfw_governance; set search_path to governance")
        async with connection.transaction():
            assert not await releases.pilot_tried(connection, RELEASE)
    finally:
        await connection.close()
