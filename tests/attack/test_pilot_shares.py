"""A Party reads its own places in the pilot, and nothing of what others have named; no Party takes them all."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chfw_common.events.release import ReleaseNotified
from chfw_common.topology import RELEASE_NOTIFIED
from chfw_instruction import service as intake
from chfw_instruction.settings import Settings as IntakeSettings
from chfw_notifier import service as notifier
from chfw_notifier.settings import Settings as NotifierSettings
from tests.service.notifier.estates import Estate, fill
from tests.service.notifier.test_telling import announce
from tests.support.databases import Databases
from tests.support.release import RELEASE, euis
from tests.support.serving import Stand, bearer, serving
from tests.support.settings import nowhere

URL = f"/v1/releases/{RELEASE}"
CAP = 12
SHARED, OWN, FOREIGN = range(20), range(100, 120), range(200, 220)
ROLES = {"elec": "IS", "gas": "GS"}
World = tuple[Stand, Stand]


async def run(notices: Stand, requests: Stand) -> None:
    """The estate and the notice: 20 hubs of both Parties and 20 of each alone."""
    await fill(
        notices,
        *(Estate(n) for n in SHARED),
        *(Estate(n, gas=None) for n in OWN),
        *(Estate(n, imports=None) for n in FOREIGN),
    )
    assert (await announce(notices, pilot_cap=CAP)).status_code == 201
    ((payload,),) = await notices.fetch("select payload from outbox where topic = $1", RELEASE_NOTIFIED.name)
    await requests.consume(RELEASE_NOTIFIED, ReleaseNotified.model_validate_json(payload))


@contextlib.asynccontextmanager
async def begun(databases: Databases) -> AsyncIterator[World]:
    """A world of notifier and intake on one database, in which the release was announced."""
    dsn = databases.clone("chfw", databases.install)
    told = nowhere(dsn)
    async with contextlib.AsyncExitStack() as stack:
        notices = await stack.enter_async_context(serving(notifier.build(NotifierSettings(**told)), dsn))
        requests = await stack.enter_async_context(serving(intake.build(IntakeSettings(**told)), dsn))
        await run(notices, requests)
        yield notices, requests
    databases.drop(dsn)


@pytest.fixture
async def world(databases: Databases) -> AsyncIterator[World]:
    """The world of a test."""
    async with begun(databases) as found:
        yield found


async def instruct(world: World, key: str, hubs: range | list[int], party: str = "elec", **changes: Any) -> Any:
    """The answers to a list: its receipt, its progress, its verdicts."""
    requests = world[1]
    headers = {**bearer(party, role=ROLES[party]), "Idempotency-Key": f'"{key}"'}
    body = {"kind": "instruct", "group": "pilot", "hubs": euis(hubs), **changes}
    answer = await requests.client.post(f"{URL}/instructions", json=body, headers=headers)
    early = await requests.client.get(answer.headers["location"], headers=headers)
    await requests.work()
    progress = await requests.client.get(answer.headers["location"], headers=headers)
    results = await requests.client.get(f"{answer.headers['location']}/results", headers=headers)
    return [answer.json(), early.json(), early.headers["retry-after"], progress.json(), results.json()]


async def look(world: World, party: str = "elec") -> Any:
    """What a Party sees of the release and of what it may choose."""
    headers = bearer(party, role=ROLES[party])
    shown = await world[0].client.get(URL, headers=headers)
    listed = await world[0].client.get("/v1/releases", headers=headers)
    preview = await world[0].client.post(f"{URL}/pilot:preview", json={"seed": "s"}, headers=headers)
    return [shown.json(), listed.json(), preview.json()]


def verdicts(said: Any) -> list[str]:
    return [row["verdict"] for row in said[-1]["results"]]


async def whole_story(world: World) -> list[Any]:
    """Everything that the first Party does and reads."""
    told = [await look(world)]
    told.append(await instruct(world, "a", range(4)))
    told.append(await look(world))
    told.append(await instruct(world, "b", [*range(2, 8), *range(100, 104)]))
    told.append(await instruct(world, "c", [0, 1], group="safe_launch"))
    told.append(await instruct(world, "d", range(8, 12)))
    told.append(await instruct(world, "e", [2], kind="withdraw", group="safe_launch"))
    told.append(await look(world))
    return told


async def test_no_party_takes_the_places_of_another(world: World) -> None:
    """Of 12 places each has one, and the rest goes by hubs: 40 of 80 pairs."""
    for party in ("elec", "gas"):
        assert (await look(world, party))[0]["pilot_places"] == 6
    first = verdicts(await instruct(world, "a", [*SHARED, *OWN]))
    assert first == ["accepted"] * 6 + ["pilot_full"] * 34
    second = verdicts(await instruct(world, "a", [*SHARED, *FOREIGN], party="gas"))
    assert second == ["accepted"] * 6 + ["pilot_full"] * 34


async def test_the_number_of_others_places_is_told_to_nobody_but_the_dcc(world: World) -> None:
    notices, _ = world
    for role in ("IS", "GS", "CSP", "PANEL", "DCC"):
        headers = bearer("elec", role=role)
        shown = (await notices.client.get(URL, headers=headers)).json()
        assert shown["pilot_places"] == (6 if role in {"IS", "GS"} else None)
        told = (await notices.client.get("/v1/events", headers=headers)).json()["events"]
        assert all("pilot_places" not in event["data"] for event in told)


@pytest.mark.parametrize("hubs", [[*SHARED], [*range(3)], [*FOREIGN]])
async def test_two_worlds_that_differ_in_what_the_second_supplier_names_are_one_to_the_first(
    world: World, databases: Databases, hubs: list[int]
) -> None:
    """It fills its places, fills some, or gives them up again: the first reads the same, to the byte."""
    alone = await whole_story(world)
    async with begun(databases) as other:
        await instruct(other, "x", hubs, party="gas")
        await instruct(other, "y", hubs[:2], party="gas", kind="withdraw", group="safe_launch")
        assert await whole_story(other) == alone


@pytest.mark.parametrize("waiting", [1, 3])
async def test_what_a_party_is_told_of_its_wait_counts_its_own_entries_alone(world: World, waiting: int) -> None:
    """Another Party's large requests stand in the line; the first reads of one entry: its own."""
    requests = world[1]
    for n in range(waiting):
        body = {"kind": "instruct", "hubs": ["x"] * 30_000}
        headers = {**bearer("gas", role="GS"), "Idempotency-Key": f'"flood{n}"'}
        assert (await requests.client.post(f"{URL}/instructions", json=body, headers=headers)).status_code == 202
    headers = {**bearer("elec"), "Idempotency-Key": '"one"'}
    body = {"kind": "instruct", "hubs": euis([1])}
    answer = await requests.client.post(f"{URL}/instructions", json=body, headers=headers)
    progress = await requests.client.get(answer.headers["location"], headers=headers)
    assert progress.headers["retry-after"] == "1"
    assert progress.json()["expected_by"] == "2026-10-01T09:00:01Z"
    await requests.work(2)
    done = (await requests.client.get(answer.headers["location"], headers=headers)).json()
    assert (done["state"], done["done_at"]) == ("done", "2026-10-01T09:00:00Z")


@pytest.mark.parametrize(("seconds", "shown"), [(0.3, "09:00:00.25"), (59.7, "09:00:00.25"), (59.9, "09:01:00")])
async def test_the_instant_of_the_last_verdict_is_shown_by_whole_minutes(
    world: World, seconds: float, shown: str
) -> None:
    requests = world[1]
    begins = requests.clock.at
    requests.clock.at = begins.replace(microsecond=250_000)
    headers = {**bearer("elec"), "Idempotency-Key": '"one"'}
    answer = await requests.client.post(
        f"{URL}/instructions", json={"kind": "instruct", "hubs": euis([1])}, headers=headers
    )
    requests.clock.at += seconds * (requests.clock.at.replace(second=1) - requests.clock.at)
    await requests.work()
    done = (await requests.client.get(answer.headers["location"], headers=headers)).json()
    assert done["done_at"].startswith(f"2026-10-01T{shown}")
    ((payload,),) = await requests.fetch(
        "select payload from outbox where topic = 'request.progressed' order by id offset 1"
    )
    assert f'"done_at":"{done["done_at"]}"'.encode() in payload
