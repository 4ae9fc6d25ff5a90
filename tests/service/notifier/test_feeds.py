"""Feeds without gaps: whatever is appended at once, by whomever, and however it is read meanwhile."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chfw_common.events.instruction import InstructionReceived
from chfw_common.kernel.ids import HubId, PartyId, UserId
from chfw_common.kernel.rollout import AnswerKind, Group
from chfw_common.runtime.service import Batch, Received
from chfw_common.topology import INSTRUCTION_RECEIVED
from chfw_notifier.store import feeds
from chfw_notifier.store.feeds import Told
from tests.support.release import NOW, RELEASE
from tests.support.serving import Stand, bearer
from tests.support.times import still

PARTIES = [PartyId(name) for name in ("amber", "beryl", "coral")]
ELEC = PartyId("elec")
# What one connection tells in one transaction: (whom, of which fact). Facts come again, also in other transactions.
tellings = st.lists(st.tuples(st.sampled_from(PARTIES), st.integers(1, 40)), min_size=1, max_size=12)
# One connection after the other, several at once.
plans = st.lists(st.lists(tellings, min_size=1, max_size=4), min_size=2, max_size=5)


async def tell(stand: Stand, facts: Sequence[tuple[PartyId, int]]) -> None:
    """One transaction that tells these facts."""
    told = [Told(party, UUID(int=fact), "fact", None, NOW, {"fact": fact}) for party, fact in facts]
    async with stand.database.transaction() as tx:
        await feeds.append(tx, told)


async def follow(stand: Stand, party: PartyId, limit: int, done: asyncio.Event) -> list[dict[str, Any]]:
    """Read a feed page by page while it grows, until nothing is left once all is told."""
    read: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        last_look = done.is_set()
        query = {"limit": str(limit)} | ({"after": after} if after else {})
        page = (await stand.client.get("/v1/events", params=query, headers=bearer(party))).json()
        read += page["events"]
        after = page["next"]
        if not page["events"]:
            if last_look:
                return read
            await asyncio.sleep(0)


async def writer(stand: Stand, transactions: Sequence[Sequence[tuple[PartyId, int]]]) -> None:
    for facts in transactions:
        await tell(stand, facts)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plans, st.integers(1, 5))
async def test_a_reader_misses_nothing_and_sees_nothing_twice(
    stand: Stand, plan: list[list[list[tuple[PartyId, int]]]], limit: int
) -> None:
    """Several connections append; a reader of each feed pages along. It reads 1, 2, 3, ... and every fact once."""
    async with stand.database.transaction() as tx:
        await tx.execute("truncate feed, lapse_told, party cascade")
        await feeds.add_parties(tx, dict.fromkeys(PARTIES, "supplier"))
    done = asyncio.Event()
    readers = [asyncio.create_task(follow(stand, party, limit, done)) for party in PARTIES]
    await asyncio.gather(*(writer(stand, transactions) for transactions in plan))
    done.set()
    everything = {pair for transactions in plan for facts in transactions for pair in facts}
    for party, read in zip(PARTIES, await asyncio.gather(*readers), strict=True):
        assert [event["seq"] for event in read] == list(range(1, len(read) + 1))
        told = [event["data"]["fact"] for event in read]
        assert sorted(told) == sorted(fact for whom, fact in everything if whom == party)


def part(number: int, request: str, hubs: int, party: PartyId = ELEC) -> Received[InstructionReceived]:
    """A part of an accepted request."""
    event = InstructionReceived(
        request_id=request, release_id=RELEASE, party=party, user_id=UserId("elec-is"), party_seq=1,
        kind=AnswerKind.INSTRUCT, group=Group.SAFE_LAUNCH, received_at=NOW, activate_at=None,
        hubs=tuple(HubId(number * 1_000 + n) for n in range(hubs)),
    )  # fmt: skip
    return Received(number, UUID(int=number), NOW, event)


async def receive(stand: Stand, *parts: Received[InstructionReceived]) -> None:
    async with stand.database.transaction() as tx:
        handler = stand.service.consumes[INSTRUCTION_RECEIVED].handler
        await handler(tx, Batch(INSTRUCTION_RECEIVED.name, 0, parts), still(NOW))


async def receipts(stand: Stand, party: PartyId) -> list[tuple[str, int]]:
    page = (await stand.client.get("/v1/events", headers=bearer(party))).json()
    return [(event["data"]["request_id"], event["data"]["hubs"]) for event in page["events"]]


async def test_a_batch_gives_one_receipt_for_each_request(stand: Stand) -> None:
    gas = PartyId("gas")
    await receive(stand, part(1, "r-1", 500), part(2, "r-2", 7), part(3, "r-1", 400), part(4, "r-1", 3, gas))
    assert await receipts(stand, ELEC) == [("r-1", 900), ("r-2", 7)]
    assert await receipts(stand, gas) == [("r-1", 3)]


async def test_a_part_that_comes_again_has_its_receipt(stand: Stand) -> None:
    """Also when it comes in another company than before."""
    await receive(stand, part(1, "r-1", 500), part(2, "r-1", 400))
    await receive(stand, part(2, "r-1", 400), part(3, "r-1", 30))
    await receive(stand, part(1, "r-1", 500), part(3, "r-1", 30))
    assert await receipts(stand, ELEC) == [("r-1", 900), ("r-1", 30)]


async def test_parts_received_at_once_are_each_counted_once(stand: Stand) -> None:
    parts = [part(n, f"r-{n % 3}", n) for n in range(1, 31)]
    await asyncio.gather(*(receive(stand, *parts[n : n + 10]) for n in (0, 5, 10, 15, 20)))
    total: dict[str, int] = {}
    for request, hubs in await receipts(stand, ELEC):
        total[request] = total.get(request, 0) + hubs
    assert total == {f"r-{n}": sum(k for k in range(1, 31) if k % 3 == n) for n in range(3)}


async def test_a_page_ends_when_it_is_full(stand: Stand) -> None:
    """Rows are counted in bytes too: a reader who asks for a thousand gets a few, and all of them in the end."""
    party, text = PARTIES[0], "x" * (feeds.PAGE_BYTES // 2)
    async with stand.database.transaction() as tx:
        await feeds.add_parties(tx, {party: "supplier"})
        for fact in range(1, 6):
            await feeds.append(tx, [Told(party, UUID(int=fact), "fact", None, NOW, {"text": text})])
    sizes, after = [], None
    while True:
        query = {"limit": "1000"} | ({"after": after} if after else {})
        page = (await stand.client.get("/v1/events", params=query, headers=bearer(party))).json()
        if not page["events"]:
            break
        sizes.append([event["seq"] for event in page["events"]])
        after = page["next"]
    assert sizes == [[1, 2], [3, 4], [5]]
