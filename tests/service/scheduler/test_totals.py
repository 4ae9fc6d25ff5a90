"""Totals are told while they change and until nothing is at risk; an armed hub that leaves is called back."""

from datetime import timedelta

import pytest

from chfw_common.events.command import CommandKind, HubCancel
from chfw_common.events.response import ResponseKind
from chfw_common.events.rollout_progress import ProgressKind, RolloutProgressed
from chfw_common.kernel.hubs import DeviceStatus
from chfw_common.kernel.ids import HubId
from chfw_common.kernel.rollout import HubState, Mode
from chfw_common.runtime.errors import TransientError
from chfw_scheduler.store import releases
from tests.service.scheduler.stand import HOUR, Stand, hubs_of, instruction, record
from tests.support.release import DAY, NOW, RELEASE

SECOND = timedelta(seconds=1)
Told = tuple[ProgressKind, int, int]


async def told(stand: Stand) -> list[Told]:
    """Kind, epoch and count at risk of what was told."""
    return [(event.kind, event.epoch, event.at_risk) for event in await stand.published(RolloutProgressed)]


async def test_the_count_at_risk_is_told_until_it_is_0(stand: Stand) -> None:
    """At the pace while it falls, at once when the last hub has answered, and then no more."""
    hubs = hubs_of(3, 6)
    await stand.armed(hubs)
    await stand.tick("report")
    assert await told(stand) == [(ProgressKind.TOTALS, 0, 0)]
    await stand.decide(2, Mode.STOP, halt=2)
    await stand.edge_obeys("North", 2)
    await stand.edge_obeys("South", 2)
    await stand.tick("call_back")
    cancels = await stand.commands(CommandKind.CANCEL)
    assert await told(stand) == [(ProgressKind.FENCING, 2, 6), (ProgressKind.EFFECTIVE, 2, 6)]

    async def answer(some: list[HubId]) -> None:
        await stand.hubs_say(some, ResponseKind.CANCEL_ACCEPTED, counter=lambda hub: cancels[hub].counter)

    await answer(hubs[:2])
    assert await stand.tick("report") == 0
    stand.now += 10 * SECOND
    assert await stand.tick("report", 1) == 1
    await answer(hubs[2:5])
    assert await stand.tick("report") == 0
    assert await told(stand) == [(ProgressKind.AT_RISK, 2, 4)]
    await answer(hubs[5:])
    await stand.tick("report")
    (last,) = await stand.published(RolloutProgressed)
    assert (last.kind, last.epoch, last.at_risk) == (ProgressKind.ALL_FINAL, 2, 0)
    assert last.totals == {HubState.CANCELLED: 6}
    stand.now += 30 * DAY
    assert await stand.tick("report") == 0


async def test_a_pause_comes_down_to_0_although_others_are_armed_after_it(stand: Stand) -> None:
    """What was armed since the halt stands, so it is not at risk."""
    old, new = hubs_of(3, 1), hubs_of(3, 2)[1:]
    await stand.resumed(old, new)
    await stand.settle()
    cancels = await stand.commands(CommandKind.CANCEL)
    await told(stand)
    await stand.hubs_say(old, ResponseKind.CANCEL_ACCEPTED, counter=lambda hub: cancels[hub].counter)
    await stand.tick("report")
    assert await told(stand) == [(ProgressKind.AT_RISK, 2, 0)]
    assert (await stand.states())["arming"] >= 1


OUT = {"superseded": {"firmware": "OTHER"}, "departed": {"status": DeviceStatus.DECOMMISSIONED}}


@pytest.mark.parametrize("state", sorted(OUT))
@pytest.mark.parametrize("withheld", [False, True], ids=["armed", "withheld by an edge"])
async def test_an_armed_hub_that_leaves_the_release_is_called_back(stand: Stand, state: str, withheld: bool) -> None:
    """It counts at risk until it has answered, whatever the decision."""
    (hub,) = hubs_of(3, 1)
    counters = await stand.armed([hub])
    if withheld:
        async with stand.database.transaction() as tx:
            await tx.execute("update ledger set arm_accepted_at = null")
        await stand.hubs_say([hub], ResponseKind.COMMAND_REFUSED, counter=counters[hub], reason="expired")
        assert await stand.states() == {"delivered": 1}
    await stand.smi_says(record(hub, 2, **OUT[state]))  # type: ignore[arg-type]
    cancel = (await stand.commands(CommandKind.CANCEL))[hub]
    assert cancel.cancels == counters[hub]
    assert await stand.states() == {state: 1}
    await stand.smi_says(record(hub, 3, **OUT[state]))  # type: ignore[arg-type]
    assert await stand.commands(CommandKind.CANCEL) == {}
    stand.now += 10 * SECOND
    await stand.tick("report")
    assert (await told(stand))[-1][2] == 1
    await stand.hubs_say([hub], ResponseKind.CANCEL_ACCEPTED, counter=cancel.counter)
    await stand.tick("report")
    assert await told(stand) == [(ProgressKind.AT_RISK, 0, 0)]
    assert await stand.miscounts() == []


async def test_a_hub_that_the_image_does_not_fit_any_more_is_called_back(stand: Stand) -> None:
    """A later notice takes its version off the list of predecessors: the job that derives rows anew calls it back."""
    (hub,) = hubs_of(3, 1)
    counters = await stand.armed([hub])
    await stand.announce(version=2, cpl={"predecessors": ("OLDER",)})
    await stand.settle()
    assert await stand.states() == {"superseded": 1}
    assert (await stand.commands(CommandKind.CANCEL))[hub].cancels == counters[hub]


async def test_a_cancel_of_a_hub_that_leaves_waits_for_a_decision_that_is_being_stored(stand: Stand) -> None:
    """It is sent under the decision in force: while one is being stored the batch is tried again, and holds no lock."""
    (hub,) = hubs_of(3, 1)
    await stand.armed([hub])
    gone = record(hub, 2, firmware="OTHER")
    async with stand.database.transaction() as tx:
        await releases.own_release(tx, RELEASE)
        with pytest.raises(TransientError):
            await stand.smi_says(gone)
        await tx.execute("update decision set epoch = 7")
    await stand.smi_says(gone)
    (cancel,) = await stand.published(HubCancel)
    assert cancel.epoch == 7


async def test_totals_of_a_running_release_are_told_at_the_pace_and_once_at_the_end(stand: Stand) -> None:
    hubs = hubs_of(3, 4)
    await stand.enrolled(hubs)
    assert await stand.tick("report") == 0
    stand.now = NOW + HOUR
    await stand.tick("report")
    (first,) = await stand.published(RolloutProgressed)
    assert (first.kind, first.epoch, first.at, first.totals) == (
        ProgressKind.TOTALS, 0, stand.now, {HubState.ELIGIBLE: 4},
    )  # fmt: skip
    stand.now += DAY
    assert await stand.tick("report") == 0
    await stand.instruct(instruction("elec", hubs))
    await stand.tick("report")
    await stand.decide(1, Mode.RUN)
    await stand.tick("claim")
    stand.now += HOUR - SECOND
    assert await stand.tick("report") == 0
    stand.now += SECOND
    await stand.tick("report")
    events = await stand.published(RolloutProgressed)
    assert [event.totals for event in events] == [{HubState.SCHEDULED: 4}, {HubState.DISTRIBUTING: 4}]
    await stand.smi_says(*(record(hub, 2, firmware="NEW") for hub in hubs))
    await stand.tick("report")
    (last,) = await stand.published(RolloutProgressed)
    assert (last.kind, last.totals) == (ProgressKind.ALL_FINAL, {HubState.CONFIRMED: 4})
    stand.now += 10 * DAY
    assert await stand.tick("report") == 0
