"""Feeds without gaps: whatever is appended at once, by whomever, and however it is read meanwhile."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chfw_common.kernel.ids import PartyId
from chfw_notifier.store import feeds
from chfw_notifier.store.feeds import Told
from tests.support.release import NOW
from tests.support.serving import Stand, bearer

PARTIES = [PartyId(name) for name in ("amber", "beryl", "coral")]
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
