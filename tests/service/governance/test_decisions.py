"""Decisions on a real Postgres: one line of epochs whoever decides at once, one answer a key."""

import asyncio
import json
from typing import Any

from chfw_common.events.rollout_progress import ProgressKind, RolloutProgressed
from chfw_common.kernel.rollout import HubState
from chfw_common.kernel.waves import Wave
from chfw_common.runtime.service import EVENT_BYTES
from chfw_common.topology import ROLLOUT_PROGRESSED
from chfw_governance.api.decisions import DECISION
from tests.support.release import DAY, NOW, RELEASE, WIDE, longest_waves
from tests.support.serving import Stand, bearer

URL = f"/v1/releases/{RELEASE}/decisions"
DCC = bearer("dcc", role="DCC")


async def post(stand: Stand, key: str, mode: str, **changes: Any) -> Any:
    body = {"mode": mode, "reason": "because", **changes}
    return await stand.client.post(URL, json=body, headers={**DCC, "Idempotency-Key": f'"{key}"'})


async def listed(stand: Stand) -> Any:
    return (await stand.client.get(URL, headers=DCC)).json()["decisions"]


def progress(kind: ProgressKind, epoch: int, at_risk: int) -> RolloutProgressed:
    return RolloutProgressed(
        release_id=RELEASE, kind=kind, epoch=epoch, at=NOW, totals={HubState.ARMED: at_risk}, at_risk=at_risk
    )


async def test_a_decision_is_answered_published_and_listed(stand: Stand) -> None:
    assert (await post(stand, "k1", "pilot")).json()["code"] == "unknown_release"
    await stand.announce()
    answer = await post(stand, "k1", "pilot", expected_epoch=0)
    assert answer.status_code == 201
    assert answer.json() == {
        "release_id": RELEASE,
        "epoch": 1,
        "min_epoch": 0,
        "mode": "pilot",
        "automatic_date": "2027-03-31T12:00:00Z",
        "waves": [],
        "reason": "because",
        "confirmed_by": None,
        "without_pilot": None,
        "decided_at": "2026-10-01T09:00:00Z",
        "state": "requested",
        "at_risk": None,
    }
    assert await listed(stand) == [answer.json()]
    ((lane, payload),) = await stand.fetch("select lane, payload from outbox")
    event = json.loads(payload)
    assert (lane, event["epoch"], event["mode"], event["automatic_date"]) == (0, 1, "pilot", "2027-03-31T12:00:00Z")


async def test_a_key_has_one_effect_and_one_answer(stand: Stand) -> None:
    await stand.announce()
    first, again = await post(stand, "k1", "pilot"), await post(stand, "k1", "pilot")
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert (await post(stand, "k1", "pause")).json()["code"] == "reused_key"
    assert await stand.fetch("select count(*) from outbox") == [(1,)]


async def test_refusals_are_problems_and_change_nothing(stand: Stand) -> None:
    await stand.announce()
    refused_ones: list[tuple[str, dict[str, Any], int, str]] = [
        ("run", {}, 409, "pilot_first"),
        ("pilot", {"expected_epoch": 3}, 409, "epoch_moved"),
        ("stop", {}, 422, "confirmation_required"),
        ("pilot", {"automatic_date": "2026-10-01T09:00:00Z"}, 422, "date_in_past"),
        ("pilot", {"unknown": 1}, 422, "invalid_request"),
    ]
    for number, (mode, changes, status, code) in enumerate(refused_ones):
        answer = await post(stand, f"k{number}", mode, **changes)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await listed(stand) == []
    refused = await stand.client.post(URL, json={}, headers={**bearer("elec"), "Idempotency-Key": '"k"'})
    assert refused.status_code == 403


async def test_waves_are_in_force_until_they_are_stated_anew(stand: Stand) -> None:
    await stand.announce(waves=(Wave("north", NOW + 30 * DAY, NOW + 60 * DAY, ("North",)),))
    first = (await post(stand, "k1", "pilot")).json()
    assert [(wave["name"], wave["regions"]) for wave in first["waves"]] == [("north", ["North"])]
    later = {"name": "north", "opens": "2026-11-10T09:00:00Z", "automatic_date": "2026-12-10T09:00:00Z"}
    assert (await post(stand, "k2", "pilot", waves=[later])).json()["code"] == "confirmation_required"
    twice = await post(stand, "k3", "pilot", waves=[later, later], confirmed_by="Panel")
    assert (twice.status_code, twice.json()["code"]) == (422, "wave_same_name")
    second = (await post(stand, "k4", "pilot", waves=[later], confirmed_by="Panel")).json()
    shown = {**later, "regions": [], "share_from": 0, "share_below": 10_000, "cut_off": "2026-11-10T09:00:00Z"}
    assert (second["epoch"], second["min_epoch"], second["waves"]) == (2, 2, [shown])
    assert await listed(stand) == [first, second]
    assert (await post(stand, "k5", "run", without_pilot="because")).json()["waves"] == [shown]
    payloads = await stand.fetch("select payload from outbox order by id")
    events = [json.loads(payload) for (payload,) in payloads]
    assert [[wave["opens"][:10] for wave in event["waves"]] for event in events] == [
        ["2026-10-31"], ["2026-11-10"], ["2026-11-10"],
    ]  # fmt: skip


async def test_the_longest_decision_is_an_event_that_may_be_sent(stand: Stand) -> None:
    await stand.announce()
    longest = WIDE * 2_000
    answer = await post(stand, "k1", "pilot", reason=longest, confirmed_by=longest, waves=longest_waves())
    assert answer.status_code == 201
    ((size,),) = await stand.fetch("select length(payload) from outbox")
    assert 100_000 < size <= EVENT_BYTES


async def test_a_decision_that_no_broker_would_take_is_refused_with_the_limit(stand: Stand) -> None:
    """The first is 1.2 MB as an event: it stood in lane 0, and no stop of any release could leave."""
    await stand.announce()
    oversized = [{"name": f"w{n}", "opens": "2026-09-01T00:00:00Z", "automatic_date": "2027-01-31T00:00:00Z",
                  "regions": ["north" * 80] * 200} for n in range(15)]  # fmt: skip
    large = await post(stand, "k", "pilot", waves=oversized)
    assert (large.status_code, large.json()["code"]) == (413, "too_large")
    assert str(DECISION) in large.json()["detail"]
    refused: list[tuple[list[dict[str, Any]], str]] = [
        ([{**wave, "regions": wave["regions"][:20]} for wave in oversized], "60"),
        ([{**wave, "regions": ["north"] * 200} for wave in oversized], "3000 regions in all, 500 are the most"),
        (longest_waves(regions=600), "600 regions in all, 500 are the most"),
        ([*longest_waves(), longest_waves()[0]], "100"),
    ]
    for number, (waves, limit) in enumerate(refused):
        answer = await post(stand, f"k{number}", "pilot", waves=waves)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert limit in answer.text
    assert (await post(stand, "k", "pilot", reason="x" * 2_001)).status_code == 422
    assert await stand.fetch("select * from outbox") == []


async def test_those_who_decide_at_once_stand_in_one_line(stand: Stand) -> None:
    await stand.announce()
    await post(stand, "start", "pilot")
    answers = await asyncio.gather(
        *(
            post(stand, f"k{n}", "pilot", automatic_date=f"2027-03-{10 + n}T00:00:00Z", confirmed_by="P")
            for n in range(8)
        )
    )
    assert sorted(answer.json()["epoch"] for answer in answers) == list(range(2, 10))
    assert [row["epoch"] for row in await listed(stand)] == list(range(1, 10))


async def test_the_count_at_risk_comes_down_to_nothing_for_every_halt(stand: Stand) -> None:
    """Reports after `effective` are of the last halt; what is at risk of one before it is at risk of it, too."""
    await stand.announce()
    for number, mode in enumerate(("pilot", "pause", "stop"), 1):
        await post(stand, f"k{number}", mode, **({"confirmed_by": "P"} if mode == "stop" else {}))
    await stand.consume(ROLLOUT_PROGRESSED, progress(ProgressKind.EFFECTIVE, 2, 9))
    await stand.consume(ROLLOUT_PROGRESSED, progress(ProgressKind.FENCING, 3, 12))
    assert [row["at_risk"] for row in await listed(stand)] == [None, 9, 12]
    await stand.consume(ROLLOUT_PROGRESSED, progress(ProgressKind.AT_RISK, 3, 4))
    assert [row["at_risk"] for row in await listed(stand)] == [None, 4, 4]
    await stand.consume(ROLLOUT_PROGRESSED, progress(ProgressKind.AT_RISK, 3, 0))
    assert [(row["state"], row["at_risk"]) for row in await listed(stand)] == [
        ("requested", None), ("effective", 0), ("fencing", 0),
    ]  # fmt: skip


async def test_the_state_of_a_decision_only_moves_on(stand: Stand) -> None:
    await stand.announce()
    await post(stand, "k1", "pilot")
    await post(stand, "k2", "pause")
    effective, fencing = progress(ProgressKind.EFFECTIVE, 2, 0), progress(ProgressKind.FENCING, 2, 7)
    await stand.consume(ROLLOUT_PROGRESSED, fencing)
    assert [(row["state"], row["at_risk"]) for row in await listed(stand)] == [("requested", None), ("fencing", 7)]
    await stand.consume(ROLLOUT_PROGRESSED, effective, fencing, progress(ProgressKind.EFFECTIVE, 0, 0))
    assert [row["state"] for row in await listed(stand)] == ["requested", "effective"]
    await stand.announce(version=2)
    assert (await listed(stand))[1]["min_epoch"] == 2
