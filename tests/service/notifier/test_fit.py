"""A notice says how many hubs it fits; one that fits none goes out only if somebody says that it may."""

from typing import Any

import pytest

from tests.service.notifier.estates import Estate, fill
from tests.service.notifier.test_telling import BODY, announce
from tests.support.release import RELEASE
from tests.support.serving import Stand, bearer

CPL: dict[str, Any] = {**BODY["cpl"], "firmware": "0102040A", "predecessors": ["0102030B"]}
NOTHING: dict[str, Any] = {"may_fit_no_hub": False}


async def stock(stand: Stand) -> None:
    """Three hubs that fit, one that runs the version, one with another predecessor; and one of another model."""
    firmware = ["0102030B", "0102030B", "0102030B", "0102040A", "01020300"]
    await fill(stand, *(Estate(n, state=None, firmware=version) for n, version in enumerate(firmware, 1)))
    await fill(stand, Estate(9, state=None, model="433100AC", firmware="0102030B"))


async def test_the_answer_says_how_many_hubs_the_notice_fits_and_says_it_to_the_dcc_alone(stand: Stand) -> None:
    await stock(stand)
    answer = await announce(stand, **NOTHING, cpl=CPL)
    assert answer.status_code == 201
    assert answer.json()["fit"] == {
        "hubs": 3, "of_model": 5, "unfit": {"already_at_version": 1, "not_upgradeable": 1},
        "pilot_places": {"elec": 3, "gas": 3},
    }  # fmt: skip
    # How many hubs others have is nobody's business: neither the feed nor the notice shows it.
    for role in ("IS", "GS", "CSP", "PANEL", "DCC"):
        found = await stand.client.get(f"/v1/releases/{RELEASE}", headers=bearer("someone", role=role))
        told = await stand.client.get("/v1/events", headers=bearer("someone", role=role))
        assert "fit" not in found.json()
        assert [event["kind"] for event in told.json()["events"]] == ["release_notified"]
        assert "fit" not in told.json()["events"][0]["data"]
    ((event,),) = await stand.fetch("select payload from outbox")
    assert b"unfit" not in event


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"predecessors": ["N/A"]}, "Of 5 hubs of this manufacturer and model the notice fits none: already"),
        ({"predecessors": ["N/A"]}, "already_at_version 1, not_upgradeable 4."),
        ({"gbcs_versions": ["v4.1"]}, "gbcs_incompatible 3."),
        ({"hardware": ["H9"]}, "model_not_applicable 5."),
        ({"model": "433100AD"}, "The inventory has no hub of this manufacturer and model."),
    ],
)  # fmt: skip
async def test_a_notice_that_fits_no_hub_needs_a_word(stand: Stand, changes: dict[str, Any], said: str) -> None:
    await stock(stand)
    cpl = {**CPL, **changes}
    answer = await announce(stand, **NOTHING, cpl=cpl)
    assert (answer.status_code, answer.json()["code"]) == (422, "fits_no_hub")
    assert said in answer.json()["detail"]
    assert "may_fit_no_hub" in answer.json()["detail"]
    assert await stand.fetch("select count(*) from release") == [(0,)]
    assert await stand.fetch("select count(*) from outbox") == [(0,)]
    for misspelt in ({"may_fit_no_hubs": True}, {"mayFitNoHub": True}, {"may_fit_no_hub": "true"}):
        refused = await announce(stand, **{**NOTHING, **misspelt}, cpl=cpl)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    answer = await announce(stand, may_fit_no_hub=True, cpl=cpl)
    assert (answer.status_code, answer.json()["fit"]["hubs"]) == (201, 0)


async def test_hexadecimal_is_one_number_in_either_case(stand: Stand) -> None:
    await stock(stand)
    cpl = {**CPL, "manufacturer": "Acme", "model": "433100ac", "firmware": "0102040a", "predecessors": ["0102030b"]}
    answer = await announce(stand, **NOTHING, cpl={**cpl, "image_hash": "AB" * 32})
    assert answer.json()["fit"] == {"hubs": 1, "of_model": 1, "unfit": {}, "pilot_places": {"elec": 1, "gas": 1}}
    shown = answer.json()["cpl"]
    assert (shown["model"], shown["firmware"], shown["predecessors"]) == ("433100AC", "0102040A", ["0102030B"])
    assert shown["image_hash"] == "ab" * 32
