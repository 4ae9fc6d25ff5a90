"""A pilot previewed over a Party's own hubs, by region, model and second Supplier (R2-3)."""

from typing import Any

from tests.service.notifier.estates import Estate, fill
from tests.service.notifier.test_telling import announce
from tests.support.release import RELEASE, euis
from tests.support.serving import Stand, bearer

# 60 hubs: 30 north with a second Supplier, 18 south without, 12 south of another model.
HUBS = (
    *(Estate(n) for n in range(30)),
    *(Estate(n, gas=None, region="south") for n in range(30, 48)),
    *(Estate(n, imports="elec", gas="elec", region="south", model="CH8") for n in range(48, 60)),
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
    await announce(stand)
    await fill(stand, *HUBS, *OTHERS)
    body = (await preview(stand, size=10, seed="autumn")).json()
    assert chosen(body) == [
        ("CH8", "south", False, 12, 2),
        ("CH9", "north", True, 30, 5),
        ("CH9", "south", False, 18, 3),
    ]
    assert (body["eligible"], body["coverage"]) == (60, {"represented": 1.0, "similarity": 1.0})
    assert len(set(body["hubs"])) == 10
    assert set(body["hubs"]) <= set(euis(range(60)))
    assert (await preview(stand, size=10, seed="autumn")).json() == body
    assert (await preview(stand, size=10, seed="winter")).json()["hubs"] != body["hubs"]


async def test_share_regions_and_models(stand: Stand) -> None:
    await announce(stand)
    await fill(stand, *HUBS, *OTHERS)
    south = (await preview(stand, share="0.5", regions=["south"])).json()
    assert (south["eligible"], len(south["hubs"])) == (30, 15)
    both = (await preview(stand, share=0.5, size=4, regions=["south"], models=["CH8"], stratified=False)).json()
    assert chosen(both) == [("CH8", "south", False, 12, 4)]
    nowhere = (await preview(stand, regions=["west"])).json()
    assert nowhere == {
        "hubs": [], "eligible": 0, "strata": [], "coverage": {"represented": 1.0, "similarity": 1.0},
    }  # fmt: skip


async def test_without_share_and_size_the_cap_of_the_release_counts(stand: Stand) -> None:
    await announce(stand, pilot_cap=7)
    await fill(stand, *HUBS)
    assert len((await preview(stand)).json()["hubs"]) == 7
    assert len((await preview(stand, share="1")).json()["hubs"]) == 60


async def test_refusals_of_a_preview(stand: Stand) -> None:
    await announce(stand)
    for wrong in ({"share": 0}, {"share": 1.1}, {"size": 0}, {"surprise": 1}, {"regions": [""]}):
        answer = await preview(stand, **wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert (await preview(stand, release_id="none")).json()["code"] == "unknown_release"
    assert (await preview(stand, role="DCC")).json()["code"] == "wrong_role"
    assert (await preview(stand, party="nobody")).json()["eligible"] == 0
