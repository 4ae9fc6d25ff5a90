"""A hub that the image does not fit any more, on a real Postgres: nothing is handed to it, armed on it, or left armed,
and it goes on when it fits again (one rule of applicability: intake, enrolment, every claim)."""

from typing import Any

import pytest

from chfw_common.events.command import CommandKind, HubCancel
from chfw_common.events.response import ResponseKind
from chfw_common.kernel.hubs import DeviceStatus
from chfw_common.kernel.ids import HubId
from chfw_common.kernel.rollout import HubState, Mode
from chfw_common.runtime.errors import TransientError
from chfw_scheduler.store import releases
from tests.service.scheduler.stand import HOUR, Stand, T, hubs_of, instruction, record
from tests.support.release import RELEASE

CASES: list[tuple[dict[str, Any], str]] = [
    ({"model": "CH10"}, "model_not_applicable"),
    ({"hardware": "H2"}, "model_not_applicable"),
    ({"gbcs": "2.0"}, "gbcs_incompatible"),
    ({"status": DeviceStatus.PENDING}, "not_commissioned"),
    ({"status": DeviceStatus.INSTALLED_NOT_COMMISSIONED}, "not_commissioned"),
    ({"status": DeviceStatus.RECOVERY}, "not_commissioned"),
]
unfitting = pytest.mark.parametrize(("change", "reason"), CASES, ids=[str(next(iter(c.values()))) for c, _ in CASES])


async def running(stand: Stand, hubs: list[HubId]) -> None:
    """A release that runs, and whose image is for one GBCS version."""
    await stand.load_hubs(hubs, parties=("elec", None))
    await stand.announce(cpl={"gbcs_versions": ("4.1",)})
    await stand.tick("jobs")
    await stand.decide(1, Mode.RUN)
    await stand.told()


async def armed(stand: Stand) -> tuple[HubId, int]:
    """A hub that is armed for T, and the counter of its CS06."""
    (hub,) = hubs_of(3, 1)
    await running(stand, [hub])
    await stand.instruct(instruction("elec", [hub]))
    await stand.tick("claim")
    await stand.hubs_say(await stand.distributed(), ResponseKind.DELIVERED, epoch=1)
    stand.now = T - 12 * HOUR
    await stand.tick("claim")
    counter = (await stand.commands(CommandKind.ACTIVATE))[hub].counter
    await stand.hubs_say([hub], ResponseKind.ACTIVATION_ACCEPTED, counter=counter)
    await stand.told()
    return hub, counter


@unfitting
async def test_it_is_not_distributed_to_until_it_fits_again(stand: Stand, change: dict[str, Any], reason: str) -> None:
    (hub,) = hubs_of(3, 1)
    await running(stand, [hub])
    await stand.instruct(instruction("elec", [hub]))
    await stand.smi_says(record(hub, 2, **change))
    item = (await stand.told())[hub]
    assert (item.state, item.reason) == ("unfit", reason)
    await stand.settle()
    assert await stand.distributed() == []
    await stand.smi_says(record(hub, 3))
    await stand.tick("claim")
    assert await stand.distributed() == [hub]


@unfitting
async def test_it_is_not_armed_until_it_fits_again(stand: Stand, change: dict[str, Any], reason: str) -> None:
    (hub,) = hubs_of(3, 1)
    await running(stand, [hub])
    await stand.instruct(instruction("elec", [hub]))
    await stand.tick("claim")
    assert await stand.distributed() == [hub]
    await stand.smi_says(record(hub, 2, **change))
    stand.now = T - 12 * HOUR
    await stand.hubs_say([hub], ResponseKind.DELIVERED, epoch=1)
    await stand.settle()
    assert await stand.commands(CommandKind.ACTIVATE) == {}
    assert await stand.fetch("select state, reason from ledger") == [("unfit", reason)]
    await stand.smi_says(record(hub, 3))
    await stand.tick("claim")
    assert (await stand.commands(CommandKind.ACTIVATE))[hub].activate_at == T


@unfitting
async def test_an_armed_one_is_called_back_and_armed_again_when_it_fits(
    stand: Stand, change: dict[str, Any], reason: str
) -> None:
    hub, counter = await armed(stand)
    await stand.smi_says(record(hub, 2, **change), record(hub, 2, **change))
    (event,) = await stand.published(HubCancel)
    (cancel,) = event.items
    assert (event.epoch, cancel.cancels) == (1, counter)
    item = (await stand.told())[hub]
    assert (item.state, item.reason) == (HubState.CANCELLING, reason)
    await stand.smi_says(record(hub, 3, **change))
    assert await stand.published(HubCancel) == []
    await stand.hubs_say([hub], ResponseKind.CANCEL_ACCEPTED, counter=cancel.counter)
    await stand.settle()
    assert await stand.fetch("select state, reason from ledger") == [("unfit", reason)]
    await stand.smi_says(record(hub, 4))
    await stand.tick("claim")
    assert (await stand.commands(CommandKind.ACTIVATE))[hub].counter > cancel.counter


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"status": DeviceStatus.DECOMMISSIONED}, "departed"),
        ({"status": DeviceStatus.WITHDRAWN}, "departed"),
        ({"firmware": "OTHER"}, "superseded"),
    ],
)
async def test_an_armed_one_that_is_gone_or_runs_another_version_is_called_back_too(
    stand: Stand, change: dict[str, Any], state: str
) -> None:
    hub, counter = await armed(stand)
    await stand.smi_says(record(hub, 2, **change))
    assert (await stand.commands(CommandKind.CANCEL))[hub].cancels == counter
    assert await stand.states() == {state: 1}


async def test_an_edge_that_refused_the_cancel_is_asked_again(stand: Stand) -> None:
    hub, _ = await armed(stand)
    await stand.smi_says(record(hub, 2, status=DeviceStatus.RECOVERY))
    first = (await stand.commands(CommandKind.CANCEL))[hub]
    await stand.hubs_say([hub], ResponseKind.COMMAND_REFUSED, counter=first.counter, reason="skewed")
    stand.now += HOUR
    await stand.settle()
    assert (await stand.commands(CommandKind.CANCEL))[hub].counter > first.counter


async def test_a_notice_that_fits_less_calls_back_and_one_that_fits_again_brings_back(stand: Stand) -> None:
    """Also a hub that was superseded by the notice alone."""
    hub, counter = await armed(stand)
    await stand.announce(version=2, cpl={"gbcs_versions": ("9.9",)})
    await stand.tick("jobs")
    cancel = (await stand.commands(CommandKind.CANCEL))[hub]
    assert cancel.cancels == counter
    await stand.hubs_say([hub], ResponseKind.CANCEL_ACCEPTED, counter=cancel.counter)
    assert await stand.states() == {"unfit": 1}
    await stand.announce(version=3, cpl={"predecessors": ("OLDER",)})
    await stand.tick("jobs")
    assert await stand.states() == {"superseded": 1}
    await stand.announce(version=4, cpl={"gbcs_versions": ("4.1",)})
    await stand.tick("jobs")
    assert await stand.states() == {"delivered": 1}


async def test_a_call_back_is_never_sent_beside_a_decision_that_is_being_stored(stand: Stand) -> None:
    hub, _ = await armed(stand)
    async with stand.database.transaction() as tx:
        await releases.own_release(tx, RELEASE)
        with pytest.raises(TransientError):
            await stand.smi_says(record(hub, 2, status=DeviceStatus.RECOVERY))
        await tx.execute("update decision set epoch = 5")
    await stand.smi_says(record(hub, 2, status=DeviceStatus.RECOVERY))
    (event,) = await stand.published(HubCancel)
    assert event.epoch == 5
