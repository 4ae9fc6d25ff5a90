"""A notice in a higher version: another note or CPL state, told to everybody again (R1-5)."""

import asyncio
from typing import Any

from chfw_common.events.release import ReleaseNotified
from tests.service.notifier.test_telling import announce, feed
from tests.support.release import RELEASE
from tests.support.serving import Stand, bearer


async def revise(stand: Stand, key: str, release_id: str = RELEASE, role: str = "DCC", **changes: Any) -> Any:
    headers = {**bearer("dcc", role=role), "Idempotency-Key": f'"{key}"'}
    return await stand.client.patch(f"/v1/releases/{release_id}", json=changes, headers=headers)


async def published(stand: Stand) -> list[ReleaseNotified]:
    rows = await stand.fetch("select payload from outbox order by id")
    return [ReleaseNotified.model_validate_json(payload) for (payload,) in rows]


async def test_a_changed_note_is_a_higher_version_that_everybody_is_told(stand: Stand) -> None:
    await feed(stand, "elec")
    first = (await announce(stand)).json()
    del first["fit"]
    answer = await revise(stand, "k2", note_reference="RN-9-2b")
    body = answer.json()
    assert answer.status_code == 200
    assert body == {**first, "version": 2, "note_reference": "RN-9-2b"}
    shown = (await stand.client.get(f"/v1/releases/{RELEASE}", headers=bearer("elec"))).json()
    assert shown == {**body, "pilot_places": 1}
    for party, role in (("elec", "IS"), ("dcc", "DCC")):
        told = await feed(stand, party, role)
        assert [(event["kind"], event["data"]["version"]) for event in told] == [
            ("release_notified", 1),
            ("release_notified", 2),
        ]
    late = await feed(stand, "late")
    assert [event["data"]["version"] for event in late] == [2]
    before, after = await published(stand)
    assert after == before.model_copy(update={"version": 2, "note_reference": "RN-9-2b"})


async def test_the_state_of_the_cpl_entry_changes_and_comes_back(stand: Stand) -> None:
    await announce(stand)
    for number, state in enumerate(("Withdrawn", "Active", "Expired", "Cancelled"), start=2):
        body = (await revise(stand, f"k{number}", cpl_state=state)).json()
        assert (body["version"], body["cpl"]["state"], body["note_reference"]) == (number, state, "RN-9-2")
    assert [event.cpl.state for event in await published(stand)] == [
        "Active", "Withdrawn", "Active", "Expired", "Cancelled",
    ]  # fmt: skip


async def test_the_same_request_again_has_the_same_answer_and_no_second_version(stand: Stand) -> None:
    await announce(stand)
    answer = await revise(stand, "k2", note_reference="RN-2")
    again = await revise(stand, "k2", note_reference="RN-2")
    assert (again.json(), again.headers["idempotent-replayed"]) == (answer.json(), "true")
    assert (await revise(stand, "k2", note_reference="RN-3")).json()["code"] == "reused_key"
    assert (await revise(stand, "k1", note_reference="RN-2")).json()["code"] == "reused_key"
    same = await revise(stand, "k3", note_reference="RN-2", cpl_state="Active")
    assert (same.status_code, same.json()) == (200, answer.json())
    assert len(await published(stand)) == 2
    assert len(await feed(stand, "dcc", "DCC")) == 2


async def test_revisions_at_once_have_versions_without_gaps(stand: Stand) -> None:
    await announce(stand)
    await asyncio.gather(*(revise(stand, f"k{n}", note_reference=f"RN-{n}") for n in range(2, 10)))
    assert [event.version for event in await published(stand)] == list(range(1, 10))
    assert [event["data"]["version"] for event in await feed(stand, "dcc", "DCC")] == list(range(1, 10))


async def test_refusals_of_a_revision(stand: Stand) -> None:
    await announce(stand)
    refusals = [
        (await revise(stand, "a", release_id="none", note_reference="RN"), 404, "unknown_release"),
        (await revise(stand, "b"), 422, "invalid_request"),
        (await revise(stand, "c", cpl_state="Gone"), 422, "invalid_request"),
        (await revise(stand, "d", priority=1), 422, "invalid_request"),
        (await revise(stand, "e", role="IS", note_reference="RN"), 403, "wrong_role"),
        (await revise(stand, "", note_reference="RN"), 400, "idempotency_key_required"),
    ]
    for answer, status, code in refusals:
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert len(await published(stand)) == 1
