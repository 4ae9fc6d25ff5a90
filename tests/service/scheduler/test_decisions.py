"""Decisions on a real Postgres: the two locks, calling back, fences, dates (I5, I6, I7, I11)."""

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from chfw_common.events.command import CommandKind, HubCancel
from chfw_common.events.distributed import FirmwareDistributed
from chfw_common.events.response import ResponseKind
from chfw_common.events.rollout_progress import ProgressKind, RolloutProgressed
from chfw_common.kernel.rollout import Mode
from chfw_common.kernel.waves import Wave
from chfw_common.runtime.database import open_database
from chfw_common.runtime.outbox import write_outbox
from chfw_common.topology import HUB_PARTITIONS, ROLLOUT_DECISION
from chfw_scheduler.store import releases
from tests.service.scheduler.stand import Stand, T, alert, hubs_of, instruction, record
from tests.support.logs import Log
from tests.support.release import DAY, NOW, RELEASE, D, decision
from tests.support.times import still

PERMIT, SECOND = timedelta(minutes=10), timedelta(seconds=1)


async def milestones(stand: Stand) -> list[tuple[ProgressKind, int, int]]:
    return [(event.kind, event.epoch, event.at_risk) for event in await stand.published(RolloutProgressed)]


async def blocked(stand: Stand) -> bool:
    rows = await stand.fetch("select count(*) from pg_locks where locktype = 'advisory' and not granted")
    return bool(rows[0][0])


async def until_blocked(stand: Stand) -> None:
    async with asyncio.timeout(10):
        while not await blocked(stand):  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.01)


async def test_a_decision_waits_for_the_claim_and_the_next_claim_sees_it(stand: Stand) -> None:
    hubs, later = hubs_of(3, 4), hubs_of(4, 4)
    await stand.enrolled([*hubs, *later])
    await stand.decide(1, Mode.RUN)
    await stand.instruct(instruction("elec", hubs))
    claim = stand.tick_named("claim")
    async with stand.database.transaction() as tx:
        result = await claim.run(tx, still(stand.now))
        await write_outbox(tx, result.outgoing, "claim", stand.now)
        deciding = asyncio.create_task(stand.decide(2, Mode.STOP, halt=2))
        await until_blocked(stand)
        assert await stand.fetch("select epoch from decision") == [(1,)]
    await deciding
    assert [event.epoch for event in await stand.published(FirmwareDistributed)] == [1]
    await stand.instruct(instruction("elec", later))
    assert await stand.tick("claim") == 0


async def test_a_claim_that_waited_for_a_decision_is_of_its_epoch(stand: Stand) -> None:
    hubs = hubs_of(3, 4)
    await stand.enrolled(hubs)
    await stand.decide(1, Mode.RUN)
    await stand.instruct(instruction("elec", hubs))
    async with stand.database.transaction() as tx:
        await releases.own_release(tx, RELEASE)
        claiming = asyncio.create_task(stand.tick("claim"))
        await until_blocked(stand)
        await tx.execute("update decision set epoch = 5, min_epoch = 5")
    assert await claiming == 1
    assert [event.epoch for event in await stand.published(FirmwareDistributed)] == [5]


async def test_claims_share_the_release(stand: Stand) -> None:
    async with stand.database.transaction() as first, stand.database.transaction() as second:
        await releases.share_release(first, RELEASE)
        assert await releases.try_share_release(second, RELEASE)
    async with stand.database.transaction() as first, stand.database.transaction() as second:
        await releases.own_release(first, RELEASE)
        assert not await releases.try_share_release(second, RELEASE)


async def test_stop_calls_back_every_armed_hub_and_waits_for_all_edges(stand: Stand) -> None:
    hubs = hubs_of(3, 520)
    counters = await stand.armed(hubs)
    await stand.decide(2, Mode.STOP, halt=2)
    assert await milestones(stand) == [(ProgressKind.FENCING, 2, 520)]
    assert await stand.tick("call_back", 1) == 1
    stand.restart()
    assert await stand.tick("call_back") == 1
    cancels = await stand.published(HubCancel)
    assert {event.epoch for event in cancels} == {2}
    items = {item.hub: item for event in cancels for item in event.items}
    assert {hub: item.cancels for hub, item in items.items()} == counters
    assert await stand.states() == {"cancelling": 520}
    await stand.edge_obeys("North", 2)
    await stand.edge_obeys("Elsewhere", 2)
    await stand.edge_obeys("South", 1)
    assert await milestones(stand) == []
    await stand.edge_obeys("South", 2)
    await stand.edge_obeys("South", 2)
    assert await milestones(stand) == [(ProgressKind.EFFECTIVE, 2, 520)]
    late, refused, rest = hubs[:1], hubs[1:3], hubs[3:]
    await stand.hubs_say(late, ResponseKind.CANCEL_TOO_LATE, counter=items[late[0]].counter)
    await stand.hubs_say(rest, ResponseKind.CANCEL_ACCEPTED, counter=lambda hub: items[hub].counter)
    await stand.hubs_say(refused, ResponseKind.COMMAND_REFUSED, counter=lambda hub: items[hub].counter, reason="x")
    assert await stand.states() == {"activated": 1, "cancelled": 517, "cancelling": 2}
    assert await stand.commands(CommandKind.CANCEL) == {}
    stand.now += SECOND
    await stand.tick("watch")
    again = await stand.commands(CommandKind.CANCEL)
    assert set(again) == set(refused)
    assert all(again[hub].counter > items[hub].counter for hub in refused)
    assert all(again[hub].cancels == counters[hub] for hub in refused)


async def test_permits_run_out_and_the_stop_is_effective_without_the_edges(stand: Stand) -> None:
    await stand.enrolled(hubs_of(3, 1))
    await stand.decide(1, Mode.STOP, halt=1)
    (due,) = (await stand.fetch("select effective_by from decision"))[0]
    stand.now = NOW + PERMIT
    assert due > stand.now
    assert await stand.tick("effective") == 0
    stand.now = due
    assert await stand.tick("effective") == 1
    assert [kind for kind, _, _ in await milestones(stand)] == [ProgressKind.FENCING, ProgressKind.EFFECTIVE]
    await stand.edge_obeys("North", 1)
    await stand.edge_obeys("South", 1)
    assert await milestones(stand) == []


async def test_edges_may_be_quicker_than_the_decision_and_the_release_slower(stand: Stand) -> None:
    """Fencing is not lost when the release is not known yet."""
    await stand.edge_obeys("North", 1)
    await stand.edge_obeys("South", 1)
    await stand.decide(1, Mode.PAUSE, halt=1)
    assert await milestones(stand) == [(ProgressKind.FENCING, 1, 0), (ProgressKind.EFFECTIVE, 1, 0)]
    await stand.settle()
    await stand.enrolled(hubs_of(3, 2))
    await stand.instruct(instruction("elec", hubs_of(3, 2)))
    assert await stand.tick("claim") == 0


async def test_a_halt_that_was_overtaken_is_a_halt(stand: Stand) -> None:
    """The later decision is out of line, so what was armed is called back before the halt itself comes. The later one
    counts when it is handed in again (ADR 0077)."""
    (hub,) = hubs_of(3, 1)
    await stand.armed([hub])
    log = Log(stand.service, stand.database, ROLLOUT_DECISION, RELEASE.encode())
    later = decision(3, Mode.RUN, min_epoch=2, at=stand.now)
    assert (await log.settle(stand.clock, later)).parked == 1
    await stand.tick("call_back")
    assert await stand.states() == {"cancelling": 1}
    assert await stand.fetch("select epoch, min_epoch, mode from decision") == [(1, 0, "run")]
    assert (await log.settle(stand.clock, decision(2, Mode.PAUSE, at=stand.now))).parked == 0
    assert [kind for kind, _, _ in await milestones(stand)] == [ProgressKind.FENCING]
    await stand.database.pool.execute("delete from scheduler.parked_record")
    assert (await log.settle(stand.clock, later)).parked == 0
    assert await stand.fetch("select epoch, min_epoch, mode from decision") == [(3, 2, "run")]
    assert await milestones(stand) == []


@pytest.mark.parametrize("delayed", [True, False], ids=["delayed", "brought forward"])
async def test_a_new_date_moves_hubs_by_a_job_and_calls_back_only_if_later(stand: Stand, delayed: bool) -> None:
    hubs = [hub for part in range(HUB_PARTITIONS) for hub in hubs_of(part, 20)]
    await stand.enrolled(hubs)
    await stand.decide(1, Mode.RUN)
    assert await stand.fetch("select count(*) from job where kind = 'redate'") == [(0,)]
    date = D + 30 * DAY if delayed else D - 30 * DAY
    await stand.decide(2, Mode.RUN, halt=2 if delayed else 0, date=date)
    assert await stand.tick("jobs", 1) == 1
    stand.restart()
    assert await stand.tick("jobs") == 1
    assert await stand.fetch("select distinct activate_at, check_at from ledger") == [(date, date - 28 * DAY)]
    assert len(await stand.told()) == len(hubs)
    assert await stand.fetch("select count(*) from job where kind = 'call_back'") == [(int(delayed),)]


async def test_hubs_armed_for_the_old_date_are_armed_again_for_the_new_one(stand: Stand) -> None:
    (hub,) = hubs_of(3, 1)
    await stand.enrolled([hub])
    await stand.decide(1, Mode.RUN)
    stand.now = D - 28 * DAY
    await stand.settle()
    await stand.hubs_say([hub], ResponseKind.DELIVERED, epoch=1)
    stand.now = D - DAY
    await stand.settle()
    armed = (await stand.commands(CommandKind.ACTIVATE))[hub]
    assert armed.activate_at == D
    new = D + 30 * DAY
    await stand.decide(2, Mode.RUN, halt=2, date=new)
    await stand.settle()
    cancel = (await stand.commands(CommandKind.CANCEL))[hub]
    await stand.hubs_say([hub], ResponseKind.CANCEL_ACCEPTED, counter=cancel.counter)
    assert (await stand.told())[hub].activate_at == new
    assert await stand.tick("claim") == 0
    stand.now = new - DAY
    await stand.settle()
    again = (await stand.commands(CommandKind.ACTIVATE))[hub]
    assert (again.activate_at, again.counter > cancel.counter) == (new, True)


async def test_overdue_hubs_need_a_new_date(stand: Stand) -> None:
    (hub,) = hubs_of(3, 1)
    await stand.enrolled([hub])
    await stand.instruct(instruction("elec", [hub]))
    stand.now = D
    await stand.decide(1, Mode.RUN)
    assert await stand.tick("claim") == 0
    await stand.decide(2, Mode.RUN, date=D + 7 * DAY)
    assert await stand.tick("claim") == 1


NORTH = Wave("north", D - 60 * DAY, D - 20 * DAY, ("North",))


async def test_waves_stated_by_a_decision_move_their_hubs_by_a_job(stand: Stand) -> None:
    (hub,) = hubs_of(3, 1)
    await stand.enrolled([hub])
    await stand.decide(1, Mode.RUN, waves=(replace(NORTH, regions=("South",)),))
    await stand.settle()
    assert (await stand.told()) == {}
    await stand.decide(2, Mode.RUN, waves=(NORTH,))
    await stand.settle()
    told = (await stand.told())[hub]
    assert (told.wave, told.activate_at) == ("north", NORTH.automatic_date)
    await stand.smi_says(record(hub, 2, region="South"))
    moved = (await stand.told())[hub]
    assert (moved.wave, moved.activate_at) == (None, D)


async def test_a_wave_keeps_its_opening_and_its_date(stand: Stand) -> None:
    """Asap waits for the opening; a stated time before an opening that has moved since waits, too."""
    asap, stated, silent = hubs_of(3, 3)
    waves = (NORTH,)
    await stand.load_hubs([asap, stated, silent], parties=("elec", None))
    await stand.announce(waves=waves)
    await stand.tick("jobs")
    await stand.decide(1, Mode.RUN, waves=waves)
    await stand.instruct(instruction("elec", [asap], at=None), instruction("elec", [stated], at=T))
    assert (await stand.told())[stated].activate_at == NORTH.opens
    await stand.settle()
    assert await stand.distributed() == [asap, stated]
    await stand.hubs_say([asap, stated], ResponseKind.DELIVERED, epoch=1)
    stand.now = NORTH.opens - DAY - timedelta(microseconds=1)
    await stand.settle()
    assert await stand.commands(CommandKind.ACTIVATE) == {}
    stand.now = NORTH.opens - DAY
    await stand.settle()
    armed = await stand.commands(CommandKind.ACTIVATE)
    assert {hub: item.activate_at for hub, item in armed.items()} == dict.fromkeys([asap, stated], NORTH.opens)
    stand.now = NORTH.automatic_date - 28 * DAY
    await stand.settle()
    assert await stand.distributed() == [silent]


async def test_an_overdue_wave_waits_for_a_new_date_of_its_own(stand: Stand) -> None:
    """The rest goes on; nothing of the wave does, and nothing runs hot."""
    late, rest = hubs_of(3, 2)
    await stand.load_hubs([late, rest], parties=("elec", None))
    await stand.announce(waves=(NORTH,))
    await stand.tick("jobs")
    await stand.smi_says(record(rest, 2, region="South"))
    await stand.instruct(instruction("elec", [late, rest]))
    stand.now = NORTH.automatic_date
    await stand.decide(1, Mode.RUN, waves=(NORTH,))
    await stand.settle()
    assert await stand.distributed() == [rest]
    new = replace(NORTH, automatic_date=NORTH.automatic_date + 7 * DAY)
    await stand.decide(2, Mode.RUN, halt=2, waves=(new,))
    await stand.settle()
    assert await stand.distributed() == [late]


async def test_totals_sum_to_the_enrolled_hubs(stand: Stand) -> None:
    hubs = hubs_of(3, 30)
    await stand.armed(hubs[:20])
    await stand.load_hubs(hubs[20:], parties=("elec", None))
    await stand.instruct(instruction("elec", hubs[20:]))
    await stand.decide(2, Mode.PAUSE, halt=2)
    (event,) = await stand.published(RolloutProgressed)
    assert sum(event.totals.values()) == 30
    assert event.at_risk == 20


async def test_writes_of_a_hub_from_due_to_confirmed(chfw_dsn: str, stand: Stand) -> None:
    """Counted by the server and printed; the budget of the whole pipeline is about 13 (ARCHITECTURE section 9)."""
    hubs = hubs_of(3, 200)
    await stand.enrolled(hubs)
    await stand.decide(1, Mode.RUN)
    await stand.instruct(instruction("elec", hubs))
    before = await writes(stand, chfw_dsn)
    await stand.tick("claim")
    await stand.hubs_say(hubs, ResponseKind.DELIVERED, epoch=1)
    stand.now = T - DAY
    await stand.tick("claim")
    counters = {hub: item.counter for hub, item in (await stand.commands(CommandKind.ACTIVATE)).items()}
    await stand.hubs_say(hubs, ResponseKind.ACTIVATION_ACCEPTED, counter=counters.__getitem__)
    stand.now = T
    await stand.smi_says(
        *(record(hub, 2, firmware="NEW", parties=("elec",), cause=alert(counters[hub], 0, T)) for hub in hubs)
    )
    assert await stand.states() == {"confirmed": 200}
    after = await writes(stand, chfw_dsn)
    updates, in_place, inserts = ((now - then) / len(hubs) for now, then in zip(after, before, strict=True))
    sys.stdout.write(f"\nledger, a hub from due to confirmed: {updates:g} updates ({in_place:g} in place)\n")
    assert (updates, inserts) == (5, 0)


async def writes(stand: Stand, dsn: str) -> tuple[int, int, int]:
    """Updates, those in place (HOT), and inserts of the ledger, as the server counts them.

    A server process hands its counts over when it ends, so the stand gets new connections.
    """
    await stand.database.close()
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(10):
            others = (
                "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            )
            while await connection.fetchval(others):  # noqa: ASYNC110 - only the server knows
                await asyncio.sleep(0.01)
        row = await connection.fetchrow(
            "select n_tup_upd, n_tup_hot_upd, n_tup_ins from pg_stat_user_tables"
            " where schemaname = 'scheduler' and relname = 'ledger'"
        )
    finally:
        await connection.close()
    stand.database = await open_database(dsn, "scheduler")
    stand.restart()
    return (row["n_tup_upd"], row["n_tup_hot_upd"], row["n_tup_ins"])
