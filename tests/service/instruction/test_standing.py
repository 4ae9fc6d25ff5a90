"""Verdicts that look beyond the request: what the ledger told, and how full the pilot is."""

from dataclasses import replace
from typing import Any

import pytest

from chfw_common.events.progressed import HubProgress, HubProgressed
from chfw_common.kernel.ids import HubId, PartyId, ReleaseId
from chfw_common.kernel.instants import format_instant
from chfw_common.kernel.months import cut_off
from chfw_common.kernel.rollout import HubState, Mode
from chfw_common.kernel.waves import Wave
from chfw_common.topology import HUB_PROGRESSED, RELEASE_NOTIFIED, ROLLOUT_DECISION
from tests.support.release import DAY, NOW, RELEASE, decision, euis, notice
from tests.support.serving import Stand, bearer

OTHER = ReleaseId("CH-9-1")
URL = f"/v1/releases/{RELEASE}/instructions"
S = HubState


def progressed(release_id: ReleaseId, *rows: tuple[int, int, HubState]) -> HubProgressed:
    """(hub, version, state) as the ledger tells it."""
    items = tuple(
        HubProgress(hubs={HubId(hub): version}, state=state, answers={PartyId("elec"): None})
        for hub, version, state in rows
    )
    return HubProgressed(release_id=release_id, firmware="9", items=items)


async def judged(stand: Stand, key: str, hubs: list[int], *, party: str = "elec", **changes: Any) -> list[str]:
    """The verdicts of a new request."""
    role = "GS" if party == "gas" else "IS"
    headers = {**bearer(party, role=role), "Idempotency-Key": f'"{key}"'}
    body = {"kind": "instruct", "hubs": euis(hubs), **changes}
    answer = await stand.client.post(URL, json=body, headers=headers)
    await stand.work()
    found = await stand.client.get(f"{answer.headers['location']}/results?limit=10000", headers=headers)
    return [row["verdict"] for row in found.json()["results"]]


async def test_a_hub_that_another_release_holds_takes_nothing_until_that_one_is_ended(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs(range(1, 6))
    rows = [(1, 2, S.SCHEDULED), (2, 2, S.DISTRIBUTING), (3, 2, S.ARMED), (4, 2, S.CONFIRMED), (5, 2, S.SILENT)]
    await stand.consume(HUB_PROGRESSED, progressed(OTHER, *rows))
    held = "other_request_in_progress"
    assert await judged(stand, "a", [1, 2, 3, 4, 5]) == ["accepted", held, held, "accepted", held]
    await stand.consume(ROLLOUT_DECISION, decision(1, Mode.PAUSE).model_copy(update={"release_id": OTHER}))
    assert await judged(stand, "b", [2, 3]) == [held, held]
    await stand.consume(ROLLOUT_DECISION, decision(2, Mode.STOP).model_copy(update={"release_id": OTHER}))
    assert await judged(stand, "c", [2, 3, 5]) == ["accepted"] * 3


async def test_a_hub_that_is_armed_or_final_is_finished_for_its_release(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs(range(1, 5))
    rows = [(1, 5, S.DELIVERED), (2, 5, S.ARMED), (3, 5, S.FAILED_FINAL), (4, 5, S.AWAITING_CONSENT)]
    await stand.consume(HUB_PROGRESSED, progressed(RELEASE, *rows))
    assert await judged(stand, "a", [1, 2, 3, 4]) == ["accepted", "finished", "finished", "accepted"]


async def test_the_highest_version_counts_and_what_does_not_change_is_not_written(stand: Stand) -> None:
    await stand.announce()
    told = [(1, 2, S.SCHEDULED), (1, 3, S.DISTRIBUTING), (1, 4, S.DELIVERED), (1, 6, S.ARMED), (1, 8, S.DELIVERED)]
    await stand.consume(HUB_PROGRESSED, *(progressed(RELEASE, row) for row in told[:2]))
    assert await stand.fetch("select version, class from hub_standing") == [(3, "holds")]
    await stand.consume(HUB_PROGRESSED, progressed(RELEASE, told[2]))
    assert await stand.fetch("select version, class from hub_standing") == [(3, "holds")]
    await stand.consume(HUB_PROGRESSED, progressed(RELEASE, *told))
    await stand.consume(HUB_PROGRESSED, progressed(RELEASE, told[3]))
    assert await stand.fetch("select version, class from hub_standing") == [(8, "holds")]
    await stand.consume(HUB_PROGRESSED, progressed(RELEASE, (1, 9, S.SCHEDULED)))
    assert await stand.fetch("select version, class from hub_standing") == [(9, "open")]
    await stand.consume(HUB_PROGRESSED, *(progressed(RELEASE, row) for row in told))
    assert await stand.fetch("select version, class from hub_standing") == [(9, "open")]


async def test_each_party_fills_places_of_its_own(stand: Stand) -> None:
    await stand.announce(pilot_places={"elec": 3, "gas": 2})
    await stand.load_hubs(range(1, 7))
    pilot = {"group": "pilot"}
    assert await judged(stand, "a", [1, 2], **pilot) == ["accepted"] * 2
    assert await judged(stand, "b", [2, 1, 3], party="gas", **pilot) == ["accepted"] * 2 + ["pilot_full"]
    # What is named already takes no other place; a hub that the other Party names takes one.
    assert await judged(stand, "c", [1, 2, 3, 4], **pilot) == ["accepted"] * 3 + ["pilot_full"]
    assert await judged(stand, "d", [4]) == ["accepted"]
    # Hub 1 leaves the list of this Party, and its place is free for another hub, also within one list.
    assert await judged(stand, "e", [1]) == ["accepted"]
    assert await judged(stand, "f", [4, 5], **pilot) == ["accepted", "pilot_full"]
    assert await judged(stand, "g", [2], party="gas", kind="withdraw") == ["accepted"]
    assert await judged(stand, "h", [5, 6], party="gas", **pilot) == ["accepted", "pilot_full"]


async def test_lists_of_a_party_fill_its_places_in_the_order_of_acceptance(stand: Stand) -> None:
    await stand.announce(pilot_places={"elec": 15_000})
    await stand.load_hubs(range(1, 20_001))
    headers = {**bearer("elec"), "Idempotency-Key": '"first"'}
    body = {"kind": "instruct", "group": "pilot", "hubs": euis(range(1, 12_001))}
    assert (await stand.client.post(URL, json=body, headers=headers)).status_code == 202
    second = await judged(stand, "second", list(range(11_001, 17_001)), group="pilot")
    assert second == ["accepted"] * 4_000 + ["pilot_full"] * 2_000


async def test_a_party_of_which_the_notice_says_nothing_may_name_one_hub(stand: Stand) -> None:
    await stand.announce(pilot_places={})
    await stand.load_hubs([1, 2])
    assert await judged(stand, "a", [1, 2], group="pilot") == ["accepted", "pilot_full"]


@pytest.mark.parametrize(("early", "expected"), [(1, "accepted"), (0, "pilot_closed")])
async def test_a_pilot_list_is_too_late_from_pilot_opens_on(stand: Stand, early: int, expected: str) -> None:
    await stand.announce()
    await stand.load_hubs([1])
    stand.clock.at = NOW + (14 - early) * DAY
    assert await judged(stand, "a", [1], group="pilot") == [expected]
    assert await judged(stand, "b", [1]) == ["accepted"]


NORTH = Wave("north", NOW + 60 * DAY, NOW + 90 * DAY, ("north",))


def day(number: int) -> str:
    return format_instant(NOW + number * DAY)


async def test_each_hub_is_judged_by_the_dates_of_its_wave(stand: Stand) -> None:
    """Hub 1 is in the wave, hub 2 goes with the rest; a decision states the waves anew."""
    await stand.announce(waves=(NORTH,))
    await stand.load_hubs([1])
    await stand.load_hubs([2], region="south")
    assert await judged(stand, "a", [1, 2], activate_at=day(59)) == ["before_group_opens", "accepted"]
    assert await judged(stand, "b", [1, 2], activate_at=day(60)) == ["accepted"] * 2
    assert await judged(stand, "c", [1, 2], activate_at=day(90)) == ["time_not_before_date", "accepted"]
    stand.clock.at = cut_off(NORTH.automatic_date) + DAY
    assert await judged(stand, "d", [1, 2]) == ["after_cut_off", "accepted"]
    await stand.decide(1, Mode.RUN, waves=(replace(NORTH, regions=("south",)),))
    assert await judged(stand, "e", [1, 2]) == ["accepted", "after_cut_off"]


async def test_the_pilot_has_an_opening_of_its_own(stand: Stand) -> None:
    """Whichever group the instruction names, and whatever wave the hub is in."""
    await stand.announce(waves=(NORTH,))
    await stand.load_hubs([1, 2])
    pilot = {"group": "pilot"}
    assert await judged(stand, "a", [1], activate_at=day(13), **pilot) == ["before_group_opens"]
    assert await judged(stand, "b", [1], activate_at=day(14), **pilot) == ["accepted"]
    assert await judged(stand, "c", [1, 2], activate_at=day(13), party="gas") == ["before_group_opens"] * 2
    assert await judged(stand, "d", [1, 2], activate_at=day(14), party="gas") == ["accepted", "before_group_opens"]
    # The Party whose list it is takes the hub out of the pilot, unless the other names it too.
    assert await judged(stand, "e", [1], activate_at=day(14)) == ["before_group_opens"]
    assert await judged(stand, "f", [1], activate_at=day(14), party="gas", **pilot) == ["accepted"]
    assert await judged(stand, "g", [1], activate_at=day(14)) == ["accepted"]


async def test_a_later_notice_does_not_change_what_was_received_before(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs([1])
    headers = {**bearer("elec"), "Idempotency-Key": '"a"'}
    body = {"kind": "instruct", "group": "pilot", "hubs": euis([1])}
    answer = await stand.client.post(URL, json=body, headers=headers)
    await stand.consume(RELEASE_NOTIFIED, notice(version=2, pilot_opens=NOW))
    await stand.work()
    found = await stand.client.get(answer.headers["location"], headers=headers)
    assert found.json()["verdicts"] == {"accepted": 1}
