"""Originator counters: unique and growing for each hub, over all releases, in the order in which commands go out."""

import asyncio

from chfw_common.events.command import CommandKind, HubCommand
from chfw_common.events.response import ResponseKind
from chfw_common.kernel.hubs import DeviceStatus
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.rollout import Mode
from tests.service.scheduler.stand import HOUR, Stand, T, hubs_of, instruction, record
from tests.support.release import RELEASE, decision

RELEASES = (ReleaseId("CH-9-1"), RELEASE, ReleaseId("CH-9-3"))


async def delivered(stand: Stand, hubs: list[HubId]) -> None:
    """Several releases whose image is on the same hubs, all to be armed in the same millisecond."""
    await stand.load_hubs(hubs, parties=("elec", None))
    for release_id in RELEASES:
        await stand.announce(release_id=release_id)
        await stand.tick("jobs")
        event = instruction("elec", hubs).model_copy(update={"release_id": release_id})
        await stand.instruct(event)
        run = decision(1, Mode.RUN, at=stand.now).model_copy(update={"release_id": release_id})
        await stand.decide_as(run)
        await stand.tick("claim")
        await stand.hubs_of_release_say(release_id, hubs, ResponseKind.DELIVERED, epoch=1)
    await stand.published(HubCommand)


async def test_releases_that_command_a_hub_in_the_same_millisecond_share_no_counter(stand: Stand) -> None:
    hubs = hubs_of(3, 5)
    await delivered(stand, hubs)
    stand.now = T - 12 * HOUR
    await stand.tick("claim")
    sent = await stand.published(HubCommand)
    assert {event.release_id for event in sent} == set(RELEASES)
    for hub in hubs:
        counters = [item.counter for event in sent for item in event.items if item.hub == hub]
        assert counters == sorted(set(counters)), "in the order of the outbox"
        assert len(counters) == len(RELEASES)
        assert min(counters) >= int(stand.now.timestamp() * 1000)


async def test_releases_that_arm_side_by_side_give_counters_in_the_order_of_the_outbox(stand: Stand) -> None:
    """Four processes claim at once, while hubs answer: what goes out later has the higher counter."""
    hubs = hubs_of(3, 40)
    await delivered(stand, hubs)
    stand.now = T - 12 * HOUR
    others = [Stand(stand.database, stand.now) for _ in range(4)]
    await asyncio.gather(*(other.tick("claim") for other in others), stand.tick("watch"))
    await stand.tick("claim")
    sent = await stand.published(HubCommand)
    found: dict[HubId, list[int]] = {}
    for event in sent:
        for item in event.items:
            found.setdefault(item.hub, []).append(item.counter)
    assert {len(counters) for counters in found.values()} == {len(RELEASES)}
    assert all(counters == sorted(set(counters)) for counters in found.values())


async def test_a_clock_that_was_set_back_does_not_take_counters_back(stand: Stand) -> None:
    hubs = hubs_of(3, 2)
    armed = await stand.armed(hubs)
    stand.now -= 5 * HOUR
    await stand.decide(2, Mode.PAUSE, halt=2)
    await stand.tick("call_back")
    cancels = await stand.commands(CommandKind.CANCEL)
    assert all(cancels[hub].counter > max(armed.values()) for hub in hubs)


async def test_a_hub_new_to_the_ledger_is_enrolled_as_the_register_has_it(stand: Stand) -> None:
    """An old record of the inventory that was parked and handed in again enrols nobody who has gone since."""
    (hub,) = hubs_of(3, 1)
    await stand.announce()
    await stand.load_hubs([hub])
    async with stand.database.transaction() as tx:
        await tx.execute("update smi.hub set status = 'Decommissioned', smi_version = 3 where hub = $1", hub)
    await stand.smi_says(record(hub, 3, status=DeviceStatus.DECOMMISSIONED))
    await stand.smi_says(record(hub, 1))
    assert await stand.states() == {}
