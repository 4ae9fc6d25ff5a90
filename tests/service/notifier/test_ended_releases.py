"""A stopped or revoked release is never shown as one that goes on."""

from typing import Any

import pytest

from chfw_common.kernel.instants import parse_instant
from chfw_common.kernel.rollout import Mode
from chfw_common.topology import ROLLOUT_DECISION
from tests.service.notifier.estates import Estate, fill
from tests.service.notifier.test_estate import ELIGIBILITY, ESTATE, pages, table
from tests.service.notifier.test_telling import ELEC, announce
from tests.support.release import RELEASE, decision
from tests.support.serving import Stand, bearer

ENDED = (Mode.STOP, Mode.REVOKED)


async def two_releases(stand: Stand) -> None:
    """CH-1, then CH-2, in the order of their notices."""
    for number in (1, 2):
        stand.clock.at = parse_instant(f"2026-10-0{number}T09:00:00Z")
        await announce(stand, key=f"CH-{number}", release_id=f"CH-{number}")


async def decide(stand: Stand, release_id: str, epoch: int, mode: Mode) -> None:
    await stand.consume(ROLLOUT_DECISION, decision(epoch, mode).model_copy(update={"release_id": release_id}))


def shown(hubs: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(hub["release_id"], hub["release_mode"], hub["state"]) for hub in hubs]


@pytest.mark.parametrize("ended", ENDED)
async def test_the_running_release_is_shown_when_a_newer_one_has_ended(stand: Stand, ended: Mode) -> None:
    await two_releases(stand)
    states = ["scheduled", "distributing", "armed", "confirmed", "failed_final"]
    await fill(stand, *(Estate(n, state=None) for n in range(5)))
    await fill(stand, *(Estate(n, state=s, release_id="CH-1") for n, s in enumerate(states)), ledger_only=True)
    await fill(stand, *(Estate(n, release_id="CH-2") for n in range(5)), ledger_only=True)
    await decide(stand, "CH-1", 1, Mode.RUN)
    await decide(stand, "CH-2", 1, ended)
    assert shown(await pages(stand, ESTATE, ELEC, 2)) == [("CH-1", "run", state) for state in states]
    assert [row["release_id"] for row in await table(stand, ESTATE, ELEC)] == ["CH-1"] * 5


@pytest.mark.parametrize("ended", ENDED)
async def test_a_release_that_has_ended_says_so_and_promises_no_time(stand: Stand, ended: Mode) -> None:
    await announce(stand)
    going = [Estate(1), Estate(2, state="scheduled"), Estate(3, state="delivered")]
    under_way = [Estate(4, state="armed"), Estate(5, state="confirmed")]
    await fill(stand, *going, *under_way)
    async with stand.database.transaction() as tx:
        await tx.execute(
            "update scheduler.ledger set answer_by = activate_at, arm_fires_at = activate_at where hub > 2"
        )
    before = await pages(stand, ESTATE, ELEC, 10)
    assert all(hub["activate_at"] for hub in before)
    await decide(stand, RELEASE, 1, ended)
    for url in (ESTATE, ELIGIBILITY):
        hubs = await pages(stand, url, ELEC, 10)
        assert {hub["release_mode"] for hub in hubs} == {ended.value}
        assert [hub["activate_at"] is None for hub in hubs] == [True, True, True, False, False]
        assert {hub["answer_by"] for hub in hubs} == {None}
        assert [row["activate_at"] == "" for row in await table(stand, url, ELEC)] == [True, True, True, False, False]


async def instruction_possible(stand: Stand) -> bool:
    found = (await stand.client.get(f"/v1/releases/{RELEASE}", headers=bearer("elec"))).json()
    listed = (await stand.client.get("/v1/releases", headers=bearer("elec"))).json()["releases"]
    assert [found] == listed
    return bool(found["instruction_possible"])


@pytest.mark.parametrize("ended", ENDED)
async def test_no_instruction_is_possible_on_a_release_that_has_ended(stand: Stand, ended: Mode) -> None:
    await announce(stand)
    for epoch, mode in enumerate((Mode.PILOT, Mode.RUN, Mode.PAUSE, Mode.HELD), start=1):
        await decide(stand, RELEASE, epoch, mode)
        assert await instruction_possible(stand)
    await decide(stand, RELEASE, 5, ended)
    assert not await instruction_possible(stand)


async def test_no_instruction_is_possible_while_the_cpl_entry_is_not_active(stand: Stand) -> None:
    await announce(stand)
    for key, state, possible in (("k2", "Expired", False), ("k3", "Active", True)):
        headers = {**bearer("dcc", role="DCC"), "Idempotency-Key": f'"{key}"'}
        answer = await stand.client.patch(f"/v1/releases/{RELEASE}", json={"cpl_state": state}, headers=headers)
        assert answer.json()["instruction_possible"] is possible
        assert await instruction_possible(stand) is possible
