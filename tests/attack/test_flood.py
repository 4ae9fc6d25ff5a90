"""One Supplier floods intake: what is over its quota is refused at the door, and another Supplier notices nothing."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest

from chfw_common.kernel.ids import PartyId
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.http.quotas import Admission, RequestQuota
from chfw_instruction.service import build
from chfw_instruction.settings import Settings
from tests.support.databases import Databases
from tests.support.release import NOW, RELEASE, euis
from tests.support.routes import PLENTY
from tests.support.serving import Stand, bearer, standing
from tests.support.settings import nowhere

URL = f"/v1/releases/{RELEASE}/instructions"
OURS, THEIRS = "elec", "other"


def intake(databases: Databases, quota: RequestQuota = PLENTY, **settings: Any) -> AbstractAsyncContextManager[Stand]:
    """Intake with a quota."""
    return standing(
        databases,
        "chfw",
        databases.install,
        lambda dsn: build(Settings(**nowhere(dsn), **settings)),
        quota=quota,
    )


async def send(stand: Stand, key: str, hubs: list[str], party: str = OURS) -> Any:
    headers = {**bearer(party), "Idempotency-Key": f'"{key}"'}
    return await stand.client.post(URL, json={"kind": "instruct", "hubs": hubs}, headers=headers)


def assert_refused(answer: Any, code: str) -> int:
    """A refusal over a quota; gives the seconds to wait."""
    assert (answer.status_code, answer.json()["code"]) == (429, code)
    seconds = int(answer.headers["retry-after"])
    assert seconds >= 1
    return seconds


class Unread:
    """A body that nobody may begin to read."""

    def __init__(self) -> None:
        self.begun = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces of the body."""
        self.begun = True
        yield b'{"kind": "instruct", "hubs": []}'


async def send_unread(stand: Stand, key: str) -> tuple[Any, Unread]:
    body = Unread()
    headers = {**bearer(OURS), "Idempotency-Key": f'"{key}"', "Content-Type": "application/json"}
    return await stand.client.post(URL, content=body, headers=headers), body


async def test_of_a_hundred_large_requests_at_once_few_are_taken_and_the_others_cost_nothing(
    databases: Databases,
) -> None:
    async with intake(databases, open_entries=10_000, requests_at_once=8) as stand:
        await stand.announce()
        hubs = euis(range(1, 5_001))
        answers = await asyncio.gather(*(send(stand, f"k{n}", hubs) for n in range(100)))
        found = Counter(answer.status_code for answer in answers)
        assert set(found) == {202, 429}
        assert found[202] <= 2
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status_code == 429)
        assert await stand.fetch("select count(*), sum(entries) from request") == [(found[202], 5_000 * found[202])]
        assert (await send(stand, "one", euis([1]), THEIRS)).status_code == 202, "another Party has its own quota"


async def test_another_party_waits_for_one_part_of_the_flood_at_most(databases: Databases) -> None:
    async with intake(databases) as stand:
        await stand.announce()
        await stand.load_hubs([1], imports=THEIRS)
        for n in range(3):
            assert (await send(stand, f"k{n}", ["x"] * 25_000)).status_code == 202
        await stand.work(1)
        for party in (THEIRS, "third", "fourth"):
            assert (await send(stand, "one", euis([1]), party)).status_code == 202
        # Whose turn was last comes last: each of those who came gets a step before the flood gets another.
        await stand.work(3)
        done = await stand.fetch("select party, done_at is not null from request where entries = 1 order by party")
        assert done == [("fourth", True), (THEIRS, True), ("third", True)]
        await stand.work(1)
        assert await stand.fetch("select sum(answered) from request where party = $1", OURS) == [(20_000,)]
        await stand.work()
        order = "select party_seq from request where party = $1 order by done_at, id"
        assert len(await stand.fetch(order, OURS)) == 3


async def test_many_small_requests_do_not_wait_for_each_other_behind_large_steps(databases: Databases) -> None:
    """Turns go by what steps cost: ten requests of one entry are done for each step of 10,000."""
    async with intake(databases) as stand:
        await stand.announce()
        assert (await send(stand, "large", ["x"] * 60_000)).status_code == 202
        await stand.work(1)
        for n in range(10):
            assert (await send(stand, f"k{n}", ["x"], THEIRS)).status_code == 202
        await stand.work(10)
        assert await stand.fetch("select count(*) from request where done_at is not null") == [(10,)]
        # A Party has no credit from the time when it sent nothing: a large one of its own takes turns at once.
        await stand.work(1)
        assert (await send(stand, "large", ["x"] * 60_000, THEIRS)).status_code == 202
        await stand.work(8)
        done = await stand.fetch("select answered from request where entries = 60000")
        assert min(answered for (answered,) in done) >= 30_000


async def test_the_requests_of_a_party_are_judged_in_the_order_of_acceptance(databases: Databases) -> None:
    async with intake(databases) as stand:
        await stand.announce()
        for n in range(4):
            assert (await send(stand, f"k{n}", ["x"] * 15_000, OURS if n % 2 else THEIRS)).status_code == 202
        seen: list[tuple[Any, ...]] = []
        while await stand.work(1):
            seen += await stand.fetch("select party, sum(answered) from request group by party order by party")
            rows = await stand.fetch(
                "select party, party_seq, answered from request where answered between 1 and 14999"
            )
            assert len({party for party, _, _ in rows}) == len(rows), "one begun request a Party"
            begun = await stand.fetch(
                """select count(*) from request later join request earlier using (party)
                   where later.party_seq > earlier.party_seq and later.answered > 0 and earlier.done_at is null"""
            )
            assert begun == [(0,)]
        # Two Parties with two requests of two steps each: never more than a step apart.
        assert [answered for _, answered in seen[-2:]] == [30_000, 30_000]
        assert all(abs(seen[n][1] - seen[n + 1][1]) <= 10_000 for n in range(0, len(seen), 2))


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"open_requests": 2}, "too_many_open_requests"),
        ({"open_entries": 30_000}, "too_many_open_entries"),
        ({"entries_burst": 30_000, "entries_per_minute": 6_000}, "too_many_recent_entries"),
        ({"entries_per_day": 30_000}, "too_many_entries_today"),
        ({"party_quotas": {OURS: {"open_requests": 2}}}, "too_many_open_requests"),
    ],
)
async def test_what_is_over_a_quota_is_refused_before_its_body_is_read(
    databases: Databases, settings: dict[str, Any], code: str
) -> None:
    async with intake(databases, **settings) as stand:
        await stand.announce()
        for n in range(2):
            assert (await send(stand, f"k{n}", ["x"] * 20_000)).status_code == 202
        answer, body = await send_unread(stand, "k2")
        seconds = assert_refused(answer, code)
        assert not body.begun
        assert await stand.fetch("select last_seq from party where party = $1", OURS) == [(2,)]
        # The same as before to a key that was answered, also now.
        again = await send(stand, "k1", ["x"] * 20_000)
        assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
        assert (await send(stand, "k1", ["y"])).json()["code"] == "reused_key"
        await stand.work()
        if code == "too_many_entries_today":
            assert seconds == 15 * 3600, "the day ends at midnight"
            assert_refused(await send(stand, "k2", ["x"]), code)
            stand.clock.at = NOW + timedelta(seconds=seconds)
        elif code == "too_many_recent_entries":
            assert seconds == 100, "10,000 too many, 100 a second flow off"
            assert_refused(await send(stand, "k2", ["x"]), code)
            stand.clock.at = NOW + timedelta(seconds=seconds + 1)
        else:
            assert seconds == (40_000 // 10_000)
        assert (await send(stand, "k2", ["x"])).status_code == 202


async def test_requests_that_come_together_do_not_pass_the_quota_side_by_side(databases: Databases) -> None:
    async with intake(databases, open_requests=3, large_bodies_at_once=50) as stand:
        await stand.announce()
        answers = await asyncio.gather(*(send(stand, f"k{n}", euis(range(n + 1))) for n in range(30)))
        assert Counter(answer.status_code for answer in answers) == {202: 3, 429: 27}


async def test_a_request_that_was_set_aside_does_not_count(databases: Databases) -> None:
    async with intake(databases, open_requests=1) as stand:
        await stand.announce()
        await send(stand, "k0", ["x"])
        assert_refused(await send(stand, "k1", ["x"]), "too_many_open_requests")
        async with stand.database.transaction() as tx:
            await tx.execute("update job set state = 'set_aside'")
        assert (await send(stand, "k1", ["x"])).status_code == 202


async def test_few_large_bodies_of_a_party_are_read_at_once(databases: Databases) -> None:
    """A body that never comes holds its place, and gives it back when the sender goes away."""
    async with intake(databases, large_bodies_at_once=1) as stand:
        await stand.announce()
        waiting, go = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            waiting.set()
            await go.wait()
            yield b'{"kind": "instruct", "hubs": ["x"]}'

        headers = {**bearer(OURS), "Idempotency-Key": '"slow"', "Content-Type": "application/json"}
        task = asyncio.create_task(stand.client.post(URL, content=slow(), headers=headers))
        await waiting.wait()
        answer, body = await send_unread(stand, "k1")
        assert_refused(answer, "too_many_large_bodies")
        assert not body.begun
        assert (await send(stand, "small", ["x"])).status_code == 202, "a small one takes no place"
        assert (await send(stand, "k1", ["x"] * 20_000, THEIRS)).status_code == 202
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await send(stand, "k1", ["x"] * 20_000)).status_code == 202


BUCKET = RequestQuota(per_minute=60, burst=10, at_once=100, of={PartyId("large"): 120})


async def test_a_bucket_is_one_for_all_processes_and_fills_with_time(databases: Databases) -> None:
    async with intake(databases) as stand:
        processes = [Admission(stand.database, BUCKET, stand.clock.now) for _ in range(2)]

        async def ask(number: int, party: str = OURS) -> str | int:
            try:
                await processes[number % 2].enter(contextlib.ExitStack(), PartyId(party))
            except Problem as problem:
                return problem.headers["Retry-After"]
            return 200

        async def together(count: int, party: str = OURS) -> Counter[str | int]:
            return Counter(await asyncio.gather(*(ask(n, party) for n in range(count))))

        assert await together(50) == {200: 10, "1": 40}
        assert await together(50, "large") == {200: 20, "1": 30}
        assert await together(20, THEIRS) == {200: 10, "1": 10}
        stand.clock.at += timedelta(seconds=0.5)
        assert await together(50) == {"1": 50}
        stand.clock.at += timedelta(seconds=3)
        assert await together(50) == {200: 3, "1": 47}
        stand.clock.at += timedelta(days=1)
        assert await together(50) == {200: 10, "1": 40}, "no more than the burst"


async def test_a_bucket_of_less_than_a_request_a_second_says_how_long_to_wait(databases: Databases) -> None:
    async with intake(databases, RequestQuota(per_minute=2, burst=1, at_once=8)) as stand:
        await stand.announce()
        assert (await send(stand, "k0", ["x"])).status_code == 202
        for _ in range(3):
            assert assert_refused(await send(stand, "k0", ["x"]), "too_many_requests") == 30
        stand.clock.at += timedelta(seconds=30)
        assert (await send(stand, "k0", ["x"])).headers["idempotent-replayed"] == "true", "a repeat takes one as well"
        assert assert_refused(await send(stand, "k0", ["x"]), "too_many_requests") == 30


async def test_so_many_requests_of_a_party_are_under_way_at_once_and_leave_however_they_end(
    databases: Databases,
) -> None:
    async with intake(databases, RequestQuota(per_minute=6_000, burst=6_000, at_once=2)) as stand:
        await stand.announce()
        begun: asyncio.Queue[None] = asyncio.Queue()
        go = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            begun.put_nowait(None)
            await go.wait()
            yield b'{"kind": "instruct", "hubs": ["x"]}'

        def begin(key: str) -> "asyncio.Task[Any]":
            headers = {**bearer(OURS), "Content-Type": "application/json", "Idempotency-Key": f'"{key}"'}
            return asyncio.create_task(stand.client.post(URL, content=slow(), headers=headers))

        async def look(party: str = OURS) -> Any:
            url = "/v1/instructions/00000000-0000-0000-0000-000000000000"
            return await stand.client.get(url, headers=bearer(party))

        tasks = [begin("a"), begin("b")]
        for _ in tasks:
            await begun.get()
        assert_refused(await look(), "too_many_at_once")
        assert (await look(THEIRS)).status_code == 404
        tasks[0].cancel()
        await asyncio.gather(tasks[0], return_exceptions=True)
        assert (await look()).status_code == 404, "one was broken off"
        go.set()
        assert (await tasks[1]).status_code == 202
        assert [one.status_code for one in await asyncio.gather(look(), look())] == [404, 404]
