"""A pilot previewed over a Party's own hubs, by region, model and second Supplier (R2-3)."""

from typing import Any

import pytest

from chfw_common.kernel.rollout import Mode
from tests.service.notifier.estates import Estate, fill
from tests.service.notifier.test_telling import announce
from tests.support.release import DAY, NOW, RELEASE, euis
from tests.support.serving import Stand, bearer

# 60 hubs: 30 north with a second Supplier, 18 south and 12 west without.
HUBS = (
    *(Estate(n) for n in range(30)),
    *(Estate(n, gas=None, region="south") for n in range(30, 48)),
    *(Estate(n, imports="elec", gas="elec", region="west") for n in range(48, 60)),
)
OTHERS = (
    Estate(100, state="armed"),
    Estate(101, state="confirmed"),
    Estate(102, state=None),
    Estate(103, imports="other", gas="gas"),
    Estate(104, release_id="another"),
)


async def preview(stand: Stand, role: str = "IS", release_id: str = RELEASE, party: str = "elec", **rules: Any) -> Any:
    url = f"/v1/releases/{release_id}/pilot:preview"
    return await stand.client.post(url, json=rules, headers=bearer(party, role=role))


def chosen(body: dict[str, Any]) -> list[tuple[str, str, bool, int, int]]:
    return [tuple(stratum.values()) for stratum in body["strata"]]


async def test_the_hubs_the_strata_and_how_well_they_stand_for_the_whole(stand: Stand) -> None:
    await fill(stand, *HUBS, *OTHERS)
    await announce(stand)
    body = (await preview(stand, size=10, seed="autumn")).json()
    assert chosen(body) == [
        ("CH9", "north", True, 30, 5),
        ("CH9", "south", False, 18, 3),
        ("CH9", "west", False, 12, 2),
    ]
    assert (body["eligible"], body["coverage"]) == (60, {"represented": 1.0, "similarity": 1.0})
    assert len(set(body["hubs"])) == 10
    assert set(body["hubs"]) <= set(euis(range(60)))
    assert (await preview(stand, size=10, seed="autumn")).json() == body
    assert (await preview(stand, size=10, seed="winter")).json()["hubs"] != body["hubs"]


async def test_share_regions_and_models(stand: Stand) -> None:
    await fill(stand, *HUBS, *OTHERS)
    await announce(stand)
    south = (await preview(stand, share="0.5", regions=["south", "west"])).json()
    assert (south["eligible"], len(south["hubs"])) == (30, 15)
    both = (await preview(stand, share=0.5, size=4, regions=["west"], models=["CH9"], stratified=False)).json()
    assert chosen(both) == [("CH9", "west", False, 12, 4)]
    assert (await preview(stand, models=["CH8"])).json()["eligible"] == 0
    nowhere = (await preview(stand, regions=["east"])).json()
    assert nowhere == {
        "hubs": [], "eligible": 0, "strata": [], "coverage": {"represented": 1.0, "similarity": 1.0},
    }  # fmt: skip


async def test_nobody_gets_more_than_its_own_places_whatever_others_have_named(stand: Stand) -> None:
    """Of 10 places each of two Parties has one; the other eight go by the number of hubs, 60 and 30."""
    await fill(stand, *HUBS)
    await announce(stand, pilot_cap=10)
    for rules in ({}, {"share": "1"}, {"size": 60}):
        assert len((await preview(stand, **rules)).json()["hubs"]) == 6
    assert len((await preview(stand, party="gas", role="GS")).json()["hubs"]) == 3
    await put_into_pilot(stand, "elec", *range(4))
    left = (await preview(stand)).json()
    assert (left["eligible"], len(left["hubs"])) == (56, 2)
    assert not set(left["hubs"]) & set(euis(range(4)))
    await put_into_pilot(stand, "gas", *range(2, 30))
    assert (await preview(stand)).json() == left
    assert (await preview(stand, party="gas", role="GS")).json()["hubs"] == []


async def put_into_pilot(stand: Stand, party: str, *hubs: int) -> None:
    """A list of the Party names them, as intake publishes it."""
    async with stand.database.transaction() as tx:
        await tx.execute("insert into instruction.party (party, last_seq) values ($1, 1) on conflict do nothing", party)
        await tx.execute(
            """insert into instruction.release select $1, 1, '{}', true, 'voluntary', $2, '[]', $2, '{}'
               on conflict do nothing""",
            RELEASE, NOW,
        )  # fmt: skip
        await tx.executemany(
            "insert into instruction.pilot_hub values ($1, $2, $3)", [(RELEASE, hub, party) for hub in hubs]
        )


@pytest.mark.parametrize("mode", [Mode.STOP, Mode.REVOKED])
async def test_a_release_that_has_ended_offers_nothing(stand: Stand, mode: Mode) -> None:
    await announce(stand)
    await stand.decide(1, mode)
    answer = await preview(stand)
    assert (answer.status_code, answer.json()["code"]) == (
        409,
        {Mode.STOP: "release_stopped", Mode.REVOKED: "release_revoked"}[mode],
    )


async def test_neither_does_one_whose_entry_is_not_active_or_whose_pilot_has_opened(stand: Stand) -> None:
    await announce(stand)
    headers = {**bearer("dcc", role="DCC"), "Idempotency-Key": '"k2"'}
    await stand.client.patch(f"/v1/releases/{RELEASE}", json={"cpl_state": "Withdrawn"}, headers=headers)
    assert (await preview(stand)).json()["code"] == "cpl_not_active"
    headers["Idempotency-Key"] = '"k3"'
    await stand.client.patch(f"/v1/releases/{RELEASE}", json={"cpl_state": "Active"}, headers=headers)
    assert (await preview(stand)).status_code == 200
    stand.clock.at = NOW + 14 * DAY
    assert (await preview(stand)).json()["code"] == "pilot_closed"


async def test_refusals_of_a_preview(stand: Stand) -> None:
    await announce(stand)
    for wrong in ({"share": 0}, {"share": 1.1}, {"size": 0}, {"surprise": 1}, {"regions": [""]}):
        answer = await preview(stand, **wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert (await preview(stand, release_id="none")).json()["code"] == "unknown_release"
    assert (await preview(stand, role="DCC")).json()["code"] == "wrong_role"
    assert (await preview(stand, party="nobody")).json()["eligible"] == 0
