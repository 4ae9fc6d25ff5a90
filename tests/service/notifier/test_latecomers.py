"""Who comes later learns of each open release what everybody else has in the feed: notice, decision, totals."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from chfw_common.events.rollout_progress import ProgressKind, RolloutProgressed
from chfw_common.events.smi import CauseKind, SmiUpdated
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import HubState, Mode
from chfw_common.runtime.service import Batch, Received
from chfw_common.topology import ROLLOUT_DECISION, ROLLOUT_PROGRESSED, SMI_UPDATED
from tests.service.notifier.test_telling import announce, feed, kinds, smi_hub
from tests.support.release import DAY, NOW, decision
from tests.support.serving import Stand
from tests.support.times import still

ALL = ["release_notified", "rollout_decision", "rollout_progressed"]
LATE = [("late-csp", "CSP"), ("late-elec", "IS"), ("late-gas", "GS"), ("late-panel", "PANEL"), ("late-dcc", "DCC")]


def totals(epoch: int, at: Instant, armed: int) -> RolloutProgressed:
    from_armed = {HubState.ARMED: armed}
    return RolloutProgressed(
        kind=ProgressKind.EFFECTIVE, release_id=decision(1, Mode.RUN).release_id, epoch=epoch, at=at,
        totals=from_armed, at_risk=armed,
    )  # fmt: skip


def said(events: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """What the last of each kind says."""
    return list({event["kind"]: (event["kind"], event["data"]) for event in events}.values())


@pytest.mark.parametrize(("party", "role"), LATE)
async def test_who_comes_later_sees_the_decision_in_force_and_where_the_roll_out_stands(
    stand: Stand, party: str, role: str
) -> None:
    await announce(stand)
    early = await feed(stand, "early", "CSP")
    assert kinds(early) == ALL[:1]
    await stand.consume(ROLLOUT_DECISION, decision(1, Mode.PILOT), decision(2, Mode.RUN), decision(3, Mode.PAUSE))
    await stand.consume(ROLLOUT_PROGRESSED, totals(3, NOW + DAY, 7), totals(1, NOW, 9))
    found = await feed(stand, party, role)
    assert kinds(found) == ALL
    assert said(found)[1] == said(await feed(stand, "early", "CSP"))[1]
    assert (found[1]["data"]["mode"], found[1]["data"]["epoch"], found[1]["data"]["reason"]) == (
        "pause",
        3,
        "so decided",
    )
    assert found[2]["data"]["totals"] == {"armed": 7}


async def test_a_supplier_that_the_inventory_names_later_is_told_as_well(stand: Stand) -> None:
    await announce(stand)
    await stand.consume(ROLLOUT_DECISION, decision(1, Mode.PILOT))
    await stand.consume(SMI_UPDATED, SmiUpdated(items=(smi_hub(1, CauseKind.LOAD, "elec"),)))
    assert kinds(await feed(stand, "elec")) == ALL[:2]


async def test_before_the_first_decision_there_is_the_notice_alone(stand: Stand) -> None:
    await announce(stand)
    assert kinds(await feed(stand, "late", "CSP")) == ALL[:1]


async def test_an_event_that_comes_again_tells_a_latecomer_nothing_twice(stand: Stand) -> None:
    await announce(stand)
    for _ in range(2):
        await stand.consume(ROLLOUT_DECISION, decision(1, Mode.PILOT))
        await stand.consume(ROLLOUT_PROGRESSED, totals(1, NOW, 7))
        assert kinds(await feed(stand, "late", "CSP")) == ALL


async def test_of_a_release_that_has_ended_a_latecomer_is_told_nothing(stand: Stand) -> None:
    await announce(stand)
    await stand.consume(ROLLOUT_DECISION, decision(1, Mode.REVOKED))
    assert await feed(stand, "late", "CSP") == []


async def test_who_joins_while_a_decision_is_told_hears_of_it_once(stand: Stand) -> None:
    """Real concurrency: it joins before, meanwhile or after, and always ends with the decision in force."""
    await announce(stand)

    async def tell(epoch: int) -> None:
        told = Received(epoch, UUID(int=epoch), NOW, decision(epoch, Mode.RUN))
        async with stand.database.transaction() as tx:
            handler = stand.service.consumes[ROLLOUT_DECISION].handler
            await handler(tx, Batch(ROLLOUT_DECISION.name, 0, (told,)), still(NOW))

    for epoch in range(1, 9):
        late = [f"late-{epoch}-{n}" for n in range(3)]
        await asyncio.gather(tell(epoch), *(feed(stand, party, "CSP") for party in late))
        for party in late:
            events = await feed(stand, party, "CSP")
            decisions = [event["data"]["epoch"] for event in events if event["kind"] == "rollout_decision"]
            assert decisions in ([epoch], [epoch - 1, epoch])
    assert [event["data"]["epoch"] for event in (await feed(stand, "late-1-0", "CSP"))[1:]] == list(range(1, 9))
