"""Intake on a real Postgres: one effect and one answer a key, one verdict an entry, whatever is resent or restarted."""

import json
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from chfw_common.kernel.rollout import Mode, Rule
from chfw_common.runtime.clock import stopwatch
from chfw_common.topology import INSTRUCTION_RECEIVED, REQUEST_PROGRESSED, Topic
from tests.support.release import CUT_OFF, NOW, RELEASE, D, euis
from tests.support.serving import Stand, bearer

DAY = timedelta(days=1)
URL = f"/v1/releases/{RELEASE}/instructions"
T = "2026-12-01T02:00:00Z"


async def post(
    stand: Stand, key: str, hubs: list[str], *, party: str = "elec", role: str = "IS", **changes: Any
) -> Any:
    body = {"kind": "instruct", "group": "safe_launch", "activate_at": T, "hubs": hubs, **changes}
    return await stand.client.post(URL, json=body, headers={**bearer(party, role=role), "Idempotency-Key": f'"{key}"'})


async def counts(stand: Stand, answer: Any) -> Any:
    found = await stand.client.get(answer.headers["location"], headers=bearer("elec"))
    return found.json()["verdicts"]


async def published(stand: Stand, topic: Topic = INSTRUCTION_RECEIVED) -> list[dict[str, Any]]:
    rows = await stand.fetch("select payload from outbox where topic = $1 order by id", topic.name)
    return [json.loads(payload) for (payload,) in rows]


async def test_every_entry_gets_one_verdict_and_the_accepted_ones_go_on(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs(range(1, 101))
    await stand.load_hubs(range(200, 210), imports="other", gas=None)
    hubs = [*euis(range(1, 101)), "nonsense\x00", euis([1])[0].lower(), *euis([200, 999])]
    answer = await post(stand, "k1", hubs)
    assert answer.status_code == 202
    assert answer.json() == {
        "request_id": answer.headers["location"].rpartition("/")[2],
        "state": "judging",
        "entries": 104,
        "received_at": "2026-10-01T09:00:00Z",
    }
    await stand.work()
    assert await counts(stand, answer) == {
        "accepted": 100,
        "malformed_id": 1,
        "duplicate_in_request": 1,
        "not_responsible": 1,
        "unknown_hub": 1,
    }
    events = await published(stand)
    assert sorted(hub for event in events for hub in event["hubs"]) == [f"{hub:016x}" for hub in range(1, 101)]
    assert {event["party_seq"] for event in events} == {1}


async def test_a_request_is_told_of_when_it_is_accepted_and_when_it_is_judged_and_at_no_other_time(
    stand: Stand,
) -> None:
    """However many parts its accepted hubs go on in."""
    await stand.announce()
    await stand.load_hubs(range(1, 12_001))
    hubs = [*euis(range(1, 12_001)), "nonsense"]
    answer = await post(stand, "k1", hubs)
    (received,) = await published(stand, REQUEST_PROGRESSED)
    about: dict[str, Any] = {
        "request_id": answer.json()["request_id"], "release_id": RELEASE, "party": "elec", "party_seq": 1,
        "kind": "instruct", "group": "safe_launch", "activate_at": T, "received_at": "2026-10-01T09:00:00Z",
        "entries": 12_001,
    }  # fmt: skip
    assert received == {**about, "verdicts": {}, "done_at": None}
    await post(stand, "k1", hubs)
    await stand.work(1)
    assert len(await published(stand, REQUEST_PROGRESSED)) == 1, "neither a repeat nor a part says anything"
    await stand.work()
    await post(stand, "k1", hubs)
    _, judged = await published(stand, REQUEST_PROGRESSED)
    counted = {"accepted": 12_000, "malformed_id": 1}
    assert judged == {**about, "verdicts": counted, "done_at": "2026-10-01T09:00:00Z"}
    assert len(await published(stand)) > 32


async def test_a_stated_time_counts_and_is_shown_by_quarters_of_an_hour(stand: Stand) -> None:
    """Never before it. What its Party reads is what the second Party may see of it: no finer."""
    await stand.announce()
    await stand.load_hubs([1])
    answer = await post(stand, "k1", euis([1]), activate_at="2026-12-01T02:00:00.000001Z")
    await stand.work()
    found = await stand.client.get(answer.headers["location"], headers=bearer("elec"))
    assert found.json()["activate_at"] == "2026-12-01T02:15:00Z"
    told = [*await published(stand), *await published(stand, REQUEST_PROGRESSED)]
    assert {event["activate_at"] for event in told} == {"2026-12-01T02:15:00Z"}


async def test_results_are_paged_and_streamed_to_their_own_party_only(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs(range(1, 6))
    answer = await post(stand, "k1", euis(range(1, 8)))
    await stand.work()
    url = f"{answer.headers['location']}/results"
    seen: list[Any] = []
    after: str | None = None
    while True:
        query = {"limit": "3"} | ({"after": after} if after else {})
        page = (await stand.client.get(url, params=query, headers=bearer("elec"))).json()
        seen += page["results"]
        after = page["next"]
        if after is None:
            break
    assert [row["pos"] for row in seen] == list(range(7))
    assert [row["verdict"] for row in seen] == ["accepted"] * 5 + ["unknown_hub"] * 2
    lines = await stand.client.get(url, headers={**bearer("elec"), "Accept": "application/x-ndjson"})
    assert [json.loads(line) for line in lines.text.splitlines()] == seen
    for foreign in (url, answer.headers["location"]):
        assert (await stand.client.get(foreign, headers=bearer("gas", role="GS"))).status_code == 404


async def test_the_same_key_and_content_get_the_same_answer_and_no_second_effect(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs(range(1, 4))
    first = await post(stand, "k1", euis(range(1, 4)))
    while_judging = await post(stand, "k1", euis(range(1, 4)))
    await stand.work()
    stand.clock.at = D + DAY
    afterwards = await post(stand, "k1", euis(range(1, 4)))
    assert first.json() == while_judging.json() == afterwards.json()
    assert "idempotent-replayed" not in first.headers
    assert while_judging.headers["idempotent-replayed"] == afterwards.headers["idempotent-replayed"] == "true"
    assert await stand.fetch("select count(*) from request") == [(1,)]
    assert await stand.work() == 0
    other = await post(stand, "k1", euis([1]))
    assert (other.status_code, other.json()["code"]) == (422, "reused_key")
    assert (await post(stand, "k1", euis([1]), party="gas", role="GS")).json()["code"] == "time_in_past"


async def test_a_request_without_a_key_is_refused(stand: Stand) -> None:
    answer = await stand.client.post(URL, json={"kind": "instruct", "hubs": []}, headers=bearer("elec"))
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"activate_at": "2026-10-01T08:59:59Z"}, 422, "time_in_past"),
        ({"kind": "agree", "activate_at": None}, 422, "time_required"),
        ({"kind": "decline"}, 422, "time_not_allowed"),
        ({"kind": "withdraw"}, 422, "time_not_allowed"),
        ({"hubs": []}, 422, "empty_list"),
        ({"hubs": ["x"] * 250_001}, 413, "too_many_entries"),
        ({"party": "dcc", "role": "DCC"}, 403, "wrong_role"),
        ({"party": "csp", "role": "CSP"}, 403, "wrong_role"),
    ],
)
async def test_a_request_is_refused_as_a_whole(stand: Stand, changes: dict[str, Any], status: int, code: str) -> None:
    await stand.announce()
    wanted = {"hubs": euis([1]), **changes}
    answer = await post(stand, "k1", wanted.pop("hubs"), **wanted)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await stand.fetch("select last_seq from party") == []


@pytest.mark.parametrize(
    ("mode", "code"), [(Mode.STOP, "release_stopped"), (Mode.REVOKED, "release_revoked"), (Mode.PAUSE, None)]
)
async def test_a_stopped_release_takes_nothing_and_a_paused_one_does(
    stand: Stand, mode: Mode, code: str | None
) -> None:
    """Whatever comes again later, or out of line."""
    await stand.decide(1, Mode.RUN)
    await stand.decide(2, mode)
    await stand.announce()
    await stand.decide(1, Mode.RUN)
    await stand.decide(4, Mode.RUN)
    assert (await post(stand, "k1", euis([1]))).json().get("code") == code


async def test_a_decline_is_refused_under_mandatory_and_a_release_off_the_cpl_takes_nothing(stand: Stand) -> None:
    assert (await post(stand, "k1", euis([1]))).json()["code"] == "unknown_release"
    await stand.announce(rule=Rule.MANDATORY)
    answer = await post(stand, "k1", euis([1]), kind="decline", activate_at=None)
    assert answer.json()["code"] == "decline_under_mandatory"
    cpl = {"manufacturer": "Acme", "model": "CH9", "hardware": ["H1"], "firmware": "9.2", "image_hash": "ab" * 32}
    await stand.announce(version=2, cpl={**cpl, "state": "Withdrawn"})
    await stand.announce(version=1)
    assert (await post(stand, "k1", euis([1]))).json()["code"] == "cpl_not_active"


async def test_the_cut_off_is_judged_on_receipt_with_the_date_in_force_then(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs(range(1, 3))
    stand.clock.at = CUT_OFF
    in_time = await post(stand, "k1", euis([1]), activate_at=None)
    stand.clock.at = CUT_OFF + timedelta(microseconds=1)
    late = await post(stand, "k2", euis([1]), activate_at=None)
    stand.clock.at = D
    await stand.decide(1, Mode.PAUSE, D + 60 * DAY)
    await stand.work()
    assert await counts(stand, in_time) == {"accepted": 1}
    assert await counts(stand, late) == {"after_cut_off": 1}
    reopened = await post(stand, "k3", euis([1]), activate_at=None)
    await stand.work()
    assert await counts(stand, reopened) == {"accepted": 1}


async def test_a_job_goes_on_after_a_failure_midway(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs(range(1, 25_001))
    answer = await post(stand, "k1", euis(range(1, 25_001)))
    assert await stand.work(steps=1) == 1
    middle = (await stand.client.get(answer.headers["location"], headers=bearer("elec"))).json()
    assert (middle["state"], middle["answered"], middle["verdicts"]) == ("judging", 10_000, {"accepted": 10_000})
    async with stand.database.transaction() as tx:
        await tx.execute(
            "alter table request_chunk add constraint broken check (chunk < 1 or verdict is null) not valid"
        )
    with pytest.raises(asyncpg.CheckViolationError):
        await stand.work()
    async with stand.database.transaction() as tx:
        await tx.execute("alter table request_chunk drop constraint broken")
    assert await stand.work() == 2
    done = (await stand.client.get(answer.headers["location"], headers=bearer("elec"))).json()
    assert (done["state"], done["verdicts"]) == ("done", {"accepted": 25_000})
    told = [hub for event in await published(stand) for hub in event["hubs"]]
    assert len(told) == len(set(told)) == 25_000
    assert await stand.fetch(
        "select count(*), count(distinct event_id) from outbox where topic = $1", INSTRUCTION_RECEIVED.name
    ) == [(96, 96)]


async def test_fifty_thousand_entries_are_judged_in_time(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs(range(1, 50_001))
    hubs = euis(range(1, 50_001))
    begun = stopwatch()
    answer = await post(stand, "k1", hubs)
    answered = stopwatch() - begun
    await stand.work()
    took = stopwatch() - begun
    assert await counts(stand, answer) == {"accepted": 50_000}
    print(f"50,000 entries: answered after {answered:.2f} s, last verdict after {took:.2f} s")  # noqa: T201
    assert took < 6.0, "the budget is 2 s on an idle machine"


async def test_the_line_of_a_party_has_no_gaps_and_is_its_own(stand: Stand) -> None:
    await stand.announce()
    for key in ("a", "b", "b", "c"):
        await post(stand, key, euis([1]))
        await post(stand, f"bad-{key}", [])
    await post(stand, "a", euis([1]), party="gas", role="GS")
    rows = await stand.fetch("select party, party_seq, received_at from request order by party, party_seq")
    assert rows == [("elec", 1, NOW), ("elec", 2, NOW), ("elec", 3, NOW), ("gas", 1, NOW)]
