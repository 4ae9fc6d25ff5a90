"""Calling back: what is older than a halt gets a cancel, whatever an edge, a later decision or another hub does."""

import pytest

from chfw_common.events.command import CommandKind
from chfw_common.events.response import ResponseKind
from chfw_common.events.rollout_progress import ProgressKind
from chfw_common.kernel.rollout import Mode
from tests.service.scheduler.stand import HOUR, Stand, T, hubs_of, instruction
from tests.service.scheduler.test_decisions import SECOND, milestones
from tests.support.release import NOW


async def test_resume_never_revives_an_old_command_nor_calls_back_a_new_one(stand: Stand) -> None:
    old, new = hubs_of(3, 1), hubs_of(3, 2)[1:]
    await stand.resumed(old, new)
    await stand.tick("claim")
    await stand.tick("call_back")
    (first,) = (await stand.commands(CommandKind.CANCEL)).values()
    assert first.hub == old[0]
    assert await stand.states() == {"cancelling": 1, "arming": 1}
    await stand.hubs_say(old, ResponseKind.COMMAND_REFUSED, counter=first.counter, reason="permit_expired")
    stand.now += SECOND
    await stand.tick("watch")
    (second,) = (await stand.commands(CommandKind.CANCEL)).values()
    assert second.counter > first.counter
    await stand.hubs_say(old, ResponseKind.CANCEL_ACCEPTED, counter=second.counter)
    await stand.tick("claim")
    assert set(await stand.commands(CommandKind.ACTIVATE)) == set(old)


async def test_a_stop_after_a_pause_ends_what_the_pause_called_back(stand: Stand) -> None:
    (hub,) = hubs_of(3, 1)
    await stand.armed([hub])
    await stand.decide(2, Mode.PAUSE, halt=2)
    await stand.tick("call_back")
    cancel = (await stand.commands(CommandKind.CANCEL))[hub]
    await stand.decide(3, Mode.STOP, halt=3)
    await stand.tick("call_back")
    assert await stand.commands(CommandKind.CANCEL) == {}
    await stand.hubs_say([hub], ResponseKind.CANCEL_ACCEPTED, counter=cancel.counter)
    assert await stand.states() == {"cancelled": 1}


@pytest.mark.parametrize("stopped_first", [True, False], ids=["refused after the stop", "refused before it"])
@pytest.mark.parametrize("heard", [True, False], ids=["its answer comes", "its answer is lost"])
async def test_a_command_that_an_edge_refused_is_called_back_all_the_same(
    stand: Stand, stopped_first: bool, heard: bool
) -> None:
    """A repeat was refused, the first had gone through: the hub may be armed, and counts as such, until it answers."""
    (hub,) = hubs_of(3, 1)
    await stand.enrolled([hub])
    await stand.decide(1, Mode.RUN)
    await stand.instruct(instruction("elec", [hub]))
    await stand.tick("claim")
    await stand.hubs_say([hub], ResponseKind.DELIVERED, epoch=1)
    stand.now = T - 12 * HOUR
    await stand.tick("claim")
    sent = (await stand.commands(CommandKind.ACTIVATE))[hub]

    async def refuse() -> None:
        await stand.hubs_say([hub], ResponseKind.COMMAND_REFUSED, counter=sent.counter, reason="permit_expired")

    if not stopped_first:
        await refuse()
        assert await stand.states() == {"delivered": 1}
    await stand.decide(2, Mode.STOP, halt=2)
    assert await milestones(stand) == [(ProgressKind.FENCING, 2, 1)]
    await stand.tick("call_back")
    if stopped_first:
        await refuse()
    if heard:
        await stand.hubs_say([hub], ResponseKind.ACTIVATION_ACCEPTED, counter=sent.counter)
    assert await stand.states() == {"cancelling": 1}
    (cancel,) = (await stand.commands(CommandKind.CANCEL)).values()
    assert cancel.cancels == sent.counter
    await stand.hubs_say([hub], ResponseKind.CANCEL_ACCEPTED, counter=cancel.counter)
    assert await stand.states() == {"cancelled": 1}


async def test_one_hub_that_cannot_be_called_back_keeps_no_other_armed(stand: Stand) -> None:
    """A row that no rule can take, among those of a stop: no count of refusals is below 1 once there was one."""
    hubs = hubs_of(3, 9)
    await stand.armed(hubs)
    async with stand.database.transaction() as tx:
        await tx.execute(
            "update ledger set cancel_for = 'pause', cancel_refused_at = $2, cancel_refusals = 0 where hub = $1",
            hubs[4], NOW,
        )  # fmt: skip
    await stand.decide(2, Mode.STOP, halt=2)
    await stand.tick("call_back")
    assert set(await stand.commands(CommandKind.CANCEL)) == set(hubs) - {hubs[4]}
    assert await stand.fetch("select hub, kind from anomaly") == [(hubs[4], "cannot_be_commanded")]
    assert await stand.fetch("select state, cursor from job where kind = 'call_back'") == [("done", {})]
