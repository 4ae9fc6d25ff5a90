"""Claims, silence and failures on a real Postgres."""

import pytest

from chfw_common.events.command import CommandKind
from chfw_common.events.distributed import FirmwareDistributed
from chfw_common.events.progressed import HubProgressed
from chfw_common.events.response import ResponseKind
from chfw_common.kernel.ids import HubId
from chfw_common.kernel.rollout import Group, HubState, Mode
from chfw_common.topology import CHUNK
from tests.service.scheduler.stand import HOUR, Stand, T, alert, hubs_of, instruction, record
from tests.support.release import DAY, NOW, D


async def test_a_claim_takes_a_chunk_of_as_many_partitions_as_it_needs_under_the_epoch(stand: Stand) -> None:
    many, few = hubs_of(3, CHUNK + 20), hubs_of(4, 5)
    await stand.enrolled([*many, *few])
    await stand.instruct(instruction("elec", many))
    await stand.instruct(instruction("elec", few))
    assert await stand.tick("claim") == 0
    await stand.decide(1, Mode.RUN)
    assert await stand.tick("claim", 1) == 1
    (first,) = await stand.published(FirmwareDistributed)
    assert (len(first.hubs), first.epoch, first.not_before) == (CHUNK, 1, NOW)
    assert set(first.hubs) <= set(many)
    assert await stand.tick("claim") == 1
    rest = await stand.published(FirmwareDistributed)
    assert {len(event.hubs) for event in rest} == {20, 5}
    assert await stand.tick("claim") == 0


async def test_modes_gate_claims(stand: Stand) -> None:
    pilot, others = hubs_of(3, 2), hubs_of(3, 6)[2:]
    await stand.enrolled([*pilot, *others])
    await stand.instruct(instruction("elec", pilot, group=Group.PILOT), instruction("elec", others, seq=2))
    for epoch, mode in enumerate((Mode.HELD, Mode.PAUSE), 1):
        await stand.decide(epoch, mode, halt=epoch)
        assert await stand.tick("claim") == 0
    await stand.decide(3, Mode.PILOT, halt=2)
    await stand.tick("claim")
    assert sorted(await stand.distributed()) == pilot
    await stand.decide(4, Mode.RUN, halt=2)
    await stand.tick("claim")
    assert sorted(await stand.distributed()) == others
    await stand.hubs_say([*pilot, *others], ResponseKind.DELIVERED, epoch=3)
    await stand.decide(5, Mode.STOP, halt=5)
    stand.now = T
    assert await stand.tick("claim") == 0
    assert await stand.states() == {"delivered": 6}


async def test_a_later_date_keeps_hubs_back_before_the_job_has_come_to_them(stand: Stand) -> None:
    """The index still says due, the decision in force says otherwise (I5)."""
    hubs = hubs_of(3, 3)
    await stand.enrolled(hubs)
    stand.now = NOW + 160 * DAY
    await stand.decide(1, Mode.RUN)
    await stand.tick("watch")
    assert await stand.states() == {"scheduled": 3}
    await stand.decide(2, Mode.RUN, halt=2, date=NOW + 250 * DAY)
    assert await stand.tick("claim") == 1
    assert await stand.distributed() == []
    assert await stand.states() == {"eligible": 3}


async def test_a_later_date_gives_back_the_stated_time_before_the_job_has_come(stand: Stand) -> None:
    """The stated time had become the earlier D; the hub is not armed a week ahead because the index says so."""
    (hub,) = hubs_of(3, 1)
    await stand.enrolled([hub])
    await stand.decide(1, Mode.RUN, date=T)
    await stand.instruct(instruction("elec", [hub], at=T + 9 * DAY))
    await stand.tick("claim")
    await stand.hubs_say([hub], ResponseKind.DELIVERED, epoch=1)
    assert await stand.fetch("select activate_at, claim_at from ledger") == [(T, T - DAY)]
    stand.now = T - 12 * HOUR
    await stand.decide(2, Mode.RUN, halt=2, date=D)
    assert await stand.tick("claim") == 1
    assert await stand.commands(CommandKind.ACTIVATE) == {}
    assert await stand.fetch("select state, claim_at from ledger") == [("delivered", T + 8 * DAY)]


async def test_cpl_not_active_holds(stand: Stand) -> None:
    hubs = hubs_of(3, 1)
    await stand.enrolled(hubs)
    await stand.instruct(instruction("elec", hubs))
    await stand.decide(1, Mode.RUN)
    await stand.announce(version=2, cpl={"state": "Withdrawn"})
    assert await stand.tick("claim") == 0
    await stand.announce(version=3)
    assert await stand.tick("claim") == 1


async def test_a_hub_that_gets_the_image_when_it_is_due_is_armed_at_once_and_both_stages_are_told(stand: Stand) -> None:
    early, due = hubs_of(3, 5)[:2], hubs_of(3, 5)[2:]
    await stand.enrolled([*early, *due])
    await stand.decide(1, Mode.RUN)
    await stand.instruct(instruction("elec", early, at=T + 9 * DAY), instruction("elec", due, seq=2, at=T))
    await stand.tick("claim")
    await stand.distributed()
    stand.now = T - 12 * HOUR
    await stand.published(HubProgressed)
    await stand.hubs_say([*early, *due], ResponseKind.DELIVERED, epoch=1)
    commanded = await stand.commands(CommandKind.ACTIVATE)
    assert sorted(commanded) == due
    first, then = await stand.published(HubProgressed)
    assert told(first) == dict.fromkeys(due, HubState.DELIVERED)
    assert told(then) == dict.fromkeys(due, HubState.ARMING) | dict.fromkeys(early, HubState.DELIVERED)
    versions = {hub: version for item in then.items for hub, version in item.hubs.items()}
    assert [(hub, versions[hub]) for hub in sorted(versions)] == [
        tuple(row) for row in await stand.fetch("select hub, version from ledger order by hub")
    ]
    assert all(version < versions[hub] for item in first.items for hub, version in item.hubs.items())
    assert await stand.tick("claim") == 0


@pytest.mark.parametrize("mode", [Mode.PAUSE, Mode.HELD, Mode.STOP, Mode.PILOT])
async def test_what_a_decision_holds_is_not_armed_at_once(stand: Stand, mode: Mode) -> None:
    hubs = hubs_of(3, 3)
    await stand.enrolled(hubs)
    await stand.decide(1, Mode.RUN)
    await stand.instruct(instruction("elec", hubs, at=T))
    await stand.tick("claim")
    await stand.distributed()
    stand.now = T - 12 * HOUR
    await stand.decide(2, mode, halt=2)
    await stand.hubs_say(hubs, ResponseKind.DELIVERED, epoch=1)
    assert await stand.commands(CommandKind.ACTIVATE) == {}
    assert await stand.states() == {"delivered": 3}


def told(event: HubProgressed) -> dict[HubId, HubState]:
    """The states that an event tells."""
    return {hub: item.state for item in event.items for hub in item.hubs}


async def test_silence_is_read_and_ends_confirmed_without_an_alert(stand: Stand) -> None:
    """Also the way of a hub that was activated before: it accepts, arms nothing and raises no alert."""
    (hub,) = hubs_of(3, 1)
    await stand.armed([hub])
    stand.now = T + DAY - HOUR
    assert await stand.tick("watch") == 0
    stand.now = T + DAY
    assert await stand.tick("watch") == 1
    read = (await stand.commands(CommandKind.READ))[hub]
    assert await stand.states() == {"silent": 1}
    await stand.hubs_say([hub], ResponseKind.VERSION_READ, counter=read.counter, firmware="NEW")
    assert await stand.states() == {"activated": 1}
    await stand.smi_says(record(hub, 2, firmware="NEW"))
    assert await stand.states() == {"confirmed": 1}
    assert await stand.fetch("select count(*) from anomaly") == [(0,)]


async def test_unanswered_reads_end_unreachable_and_a_refused_one_does_not_count(stand: Stand) -> None:
    (hub,) = hubs_of(3, 1)
    counters = await stand.armed([hub])
    seen = []
    stand.now = T + DAY
    for refused in (True, False, False, False):
        assert await stand.tick("watch") == 1
        read = (await stand.commands(CommandKind.READ))[hub]
        seen.append(read.counter)
        if refused:
            await stand.hubs_say([hub], ResponseKind.COMMAND_REFUSED, counter=read.counter, reason="skewed")
        assert await stand.states() == {"silent": 1}
        assert await stand.tick("watch") == 0
        stand.now += HOUR if refused else DAY
    assert seen == sorted(set(seen))
    await stand.tick("watch")
    assert await stand.states() == {"unreachable": 1}
    assert await stand.fetch("select count(*) from anomaly") == [(0,)]
    await stand.smi_says(record(hub, 2, firmware="NEW", cause=alert(counters[hub], 0, T)))
    assert await stand.states() == {"confirmed": 1}


async def test_deliveries_time_out_and_are_given_up_after_the_retries(stand: Stand) -> None:
    (hub,) = hubs_of(3, 1)
    await stand.enrolled([hub])
    await stand.decide(1, Mode.RUN)
    await stand.instruct(instruction("elec", [hub]))
    for attempt in (1, 2, 3):
        await stand.tick("claim")
        assert await stand.distributed() == [hub]
        stand.now += 14 * DAY
        await stand.tick("watch")
        read = (await stand.commands(CommandKind.READ))[hub]
        await stand.hubs_say([hub], ResponseKind.VERSION_READ, counter=read.counter, firmware="OLD")
        assert await stand.states() == {"failed_final" if attempt == 3 else "delivery_failed": 1}
        stand.now += 4 * DAY
    assert (await stand.told())[hub].reason == "timed_out"
    await stand.hubs_say([hub], ResponseKind.DELIVERED, epoch=1)
    assert await stand.states() == {"delivered": 1}


async def test_failed_activations_are_tried_again_with_new_counters_and_given_up(stand: Stand) -> None:
    (hub,) = hubs_of(3, 1)
    counters = [(await stand.armed([hub]))[hub]]
    for attempt in (1, 2, 3):
        stand.now += 2 * DAY
        failed = alert(counters[-1], 3, stand.now)
        await stand.smi_says(record(hub, 1 + attempt, cause=failed), record(hub, 1 + attempt, cause=failed))
        assert await stand.states() == {"failed_final" if attempt == 3 else "activation_failed": 1}
        assert await stand.tick("claim") == 0
        stand.now += 3 * DAY
        if attempt < 3:
            await stand.tick("claim")
            again = (await stand.commands(CommandKind.ACTIVATE))[hub]
            assert again.activate_at == stand.now + HOUR
            counters.append(again.counter)
    assert counters == sorted(set(counters))
    assert (await stand.told())[hub].reason == "cs06_3"


async def test_a_refused_command_and_a_refused_distribution_come_again(stand: Stand) -> None:
    (hub,) = hubs_of(3, 1)
    await stand.enrolled([hub])
    await stand.decide(1, Mode.RUN)
    await stand.instruct(instruction("elec", [hub]))
    await stand.tick("claim")
    await stand.hubs_say([hub], ResponseKind.DISTRIBUTION_REFUSED, epoch=1, reason="permit_expired")
    assert (await stand.states(), await stand.tick("claim")) == ({"scheduled": 1}, 0)
    stand.now += HOUR
    assert await stand.tick("claim") == 1
    await stand.hubs_say([hub], ResponseKind.DELIVERED, epoch=1)
    stand.now = T - DAY
    await stand.tick("claim")
    sent = (await stand.commands(CommandKind.ACTIVATE))[hub]
    assert sent.activate_at == T
    await stand.hubs_say([hub], ResponseKind.COMMAND_REFUSED, counter=sent.counter, reason="permit_expired")
    assert (await stand.told())[hub].state is HubState.DELIVERED
    assert await stand.tick("claim") == 0
    stand.now += HOUR
    await stand.tick("claim")
    assert (await stand.commands(CommandKind.ACTIVATE))[hub].counter > sent.counter
