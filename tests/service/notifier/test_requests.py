"""A Party is told of its request as a whole: once when it is received, once when it is judged (R4-1, R4-2)."""

import asyncio
import json

from chfw_common.events.request import RequestProgressed
from chfw_common.kernel.ids import PartyId
from chfw_common.topology import REQUEST_PROGRESSED, partition_of_release
from tests.service.notifier.test_telling import ELEC, GAS, feed, request
from tests.support.release import NOW, RELEASE
from tests.support.serving import Stand, batch_of
from tests.support.times import still

COUNTS = {"accepted": 4_990, "unknown_hub": 10}


async def hear(stand: Stand, *events: RequestProgressed) -> None:
    async with stand.database.transaction() as tx:
        batch = batch_of(REQUEST_PROGRESSED, events, NOW, partition_of_release(RELEASE))
        await stand.service.consumes[REQUEST_PROGRESSED].handler(tx, batch, still(NOW))


async def test_it_is_told_once_when_received_and_once_when_judged(stand: Stand) -> None:
    both = [request(ELEC), request(ELEC, verdicts=COUNTS, done_at=NOW)]
    for _ in range(2):
        await hear(stand, *both)
    about = {
        "request_id": "r-1", "kind": "instruct", "group": "safe_launch", "activate_at": None,
        "received_at": "2026-10-01T09:00:00Z", "party_seq": 1, "entries": 5_000,
    }  # fmt: skip
    assert [(event["kind"], event["data"]) for event in await feed(stand, ELEC)] == [
        ("instruction_received", about),
        ("instruction_judged", {**about, "verdicts": COUNTS, "done_at": "2026-10-01T09:00:00Z"}),
    ]


async def test_nobody_else_hears_of_it(stand: Stand) -> None:
    await hear(stand, request(ELEC, "r-1"), request(GAS, "r-2"), request(GAS, "r-2", verdicts=COUNTS, done_at=NOW))
    assert [event["data"]["request_id"] for event in await feed(stand, ELEC)] == ["r-1"]
    assert {event["data"]["request_id"] for event in await feed(stand, GAS, "GS")} == {"r-2"}
    assert "r-2" not in json.dumps(await feed(stand, ELEC))
    assert await feed(stand, PartyId("other")) == []


async def test_what_is_told_at_once_is_told_once(stand: Stand) -> None:
    events = [request(ELEC, f"r-{n}") for n in range(8)]
    await asyncio.gather(*(hear(stand, *events) for _ in range(5)))
    assert sorted(event["data"]["request_id"] for event in await feed(stand, ELEC)) == [f"r-{n}" for n in range(8)]
