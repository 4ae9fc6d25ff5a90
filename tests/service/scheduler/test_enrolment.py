"""Enrolment beside what the inventory tells and what Parties answer: real transactions on a real Postgres that meet
at the points where a row is not there yet (I1, I3)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from chfw_common.events.smi import SmiHub, SmiUpdated
from chfw_common.kernel.hubs import DeviceStatus
from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.rollout import AnswerKind, HubState, Mode
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.outbox import write_outbox
from chfw_common.topology import RELEASE_NOTIFIED, SMI_UPDATED
from chfw_scheduler.store import releases
from tests.service.scheduler.stand import Stand, T, hubs_of, instruction, record
from tests.support.release import DAY, NOW, RELEASE, notice
from tests.support.serving import batch_of
from tests.support.times import still
from tests.support.waiting import eventually

(HUB,) = hubs_of(3, 1)
DECOMMISSIONED = record(HUB, 2, status=DeviceStatus.DECOMMISSIONED)
NEXT_SUPPLIER = record(HUB, 2, parties=("next",), since=NOW - DAY)


@contextlib.asynccontextmanager
async def enrolled_and_uncommitted(stand: Stand) -> AsyncIterator[None]:
    """The enrolment job has written version 1 of the hub, and commits when the block ends."""
    async with stand.database.transaction() as tx:
        result = await stand.tick_named("jobs").run(tx, still(stand.now))
        await write_outbox(tx, result.outgoing, "jobs", stand.now)
        assert await tx.fetchval("select count(*) from ledger") == 1
        yield


@contextlib.asynccontextmanager
async def no_row_is_inserted(stand: Stand) -> AsyncIterator[None]:
    """Whoever opens a row waits at the insert until the block ends; rows can be looked for and locked."""
    async with stand.database.transaction() as tx:
        await tx.execute("lock table ledger in share mode")
        yield


async def until_it_waits(stand: Stand, waiting: int = 1) -> None:
    """So many transactions wait for a lock."""

    async def waits() -> bool:
        rows = await stand.fetch("select count(distinct pid) from pg_locks where not granted")
        return int(rows[0][0]) >= waiting

    await eventually(waits)


async def begin(stand: Stand, work: Coroutine[Any, Any, object], waiting: int = 1) -> "asyncio.Task[object]":
    """The work has begun, and waits for a lock or is done."""
    task = asyncio.create_task(work)
    waits = asyncio.create_task(until_it_waits(stand, waiting))
    await asyncio.wait([task, waits], return_when=asyncio.FIRST_COMPLETED)
    waits.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waits
    return task


async def inventory_changes(stand: Stand, item: SmiHub) -> None:
    """The inventory itself has committed the record before it tells of it."""
    one = item.responsible[0]
    async with stand.database.transaction() as tx:
        await tx.execute(
            """update smi.hub set status = $2, import_party = $3, import_user = $4, import_since = $5, smi_version = $6
               where hub = $1""",
            item.hub, item.status, one.party, one.user_id, one.since, item.smi_version,
        )  # fmt: skip


async def announced(stand: Stand) -> None:
    """The hub is in the register at version 1, the notice is there, the enrolment has not begun."""
    await stand.load_hubs([HUB], parties=("elec", None))
    await stand.announce()


async def test_a_change_of_supplier_that_meets_the_uncommitted_row_counts(stand: Stand) -> None:
    await announced(stand)
    async with enrolled_and_uncommitted(stand):
        await inventory_changes(stand, NEXT_SUPPLIER)
        observing = await begin(stand, stand.smi_says(NEXT_SUPPLIER))
    await observing
    assert await stand.fetch("select import_party, smi_version from ledger") == [("next", 2)]
    await stand.instruct(instruction("elec", [HUB]))
    assert await stand.states() == {"eligible": 1}, "its word does not count"
    await stand.instruct(instruction("next", [HUB]))
    item = (await stand.told())[HUB]
    assert (item.state, item.activate_at, item.answers) == (HubState.SCHEDULED, T, {"next": AnswerKind.INSTRUCT})


async def test_a_decommissioning_that_meets_the_uncommitted_row_counts(stand: Stand) -> None:
    await announced(stand)
    async with enrolled_and_uncommitted(stand):
        await inventory_changes(stand, DECOMMISSIONED)
        observing = await begin(stand, stand.smi_says(DECOMMISSIONED))
    await observing
    assert await stand.fetch("select state, smi_version from ledger") == [("departed", 2)]


async def test_a_record_told_between_the_look_of_the_job_and_its_insert_counts(stand: Stand) -> None:
    """The job has read version 1 and waits at its insert; version 2 is told meanwhile."""
    await announced(stand)
    async with no_row_is_inserted(stand):
        enrolling = await begin(stand, stand.tick("jobs", 1))
        await inventory_changes(stand, DECOMMISSIONED)
        observing = await begin(stand, stand.smi_says(DECOMMISSIONED), waiting=2)
    await asyncio.gather(enrolling, observing)
    assert await stand.fetch("select state, smi_version from ledger") == [("departed", 2)]


async def test_a_record_told_between_the_look_of_a_merge_and_its_insert_counts(stand: Stand) -> None:
    """The same where an instruction has overtaken the enrolment; its answer is kept."""
    await announced(stand)
    async with no_row_is_inserted(stand):
        merging = await begin(stand, stand.instruct(instruction("elec", [HUB])))
        await inventory_changes(stand, DECOMMISSIONED)
        observing = await begin(stand, stand.smi_says(DECOMMISSIONED), waiting=2)
    await asyncio.gather(merging, observing)
    assert await stand.fetch("select state, smi_version, answers::text <> '[]' from ledger") == [("departed", 2, True)]


async def test_a_merge_that_meets_records_being_taken_in_comes_again(stand: Stand) -> None:
    """It holds rows, so it does not wait for whoever may wait for them."""
    await announced(stand)
    async with stand.database.transaction() as tx:
        other = SmiUpdated(items=(record(hubs_of(3, 2)[1], 1),))
        batch = batch_of(SMI_UPDATED, [other], stand.now, 3)
        await stand.service.consumes[SMI_UPDATED].handler(tx, batch, still(stand.now))
        with pytest.raises(TransientError):
            await stand.instruct(instruction("elec", [HUB]))
    await stand.instruct(instruction("elec", [HUB]))
    assert await stand.fetch("select state from ledger where hub = $1", HUB) == [("scheduled",)]


ABSENT: list[DeviceStatus] = [
    DeviceStatus.RECOVERY,
    DeviceStatus.PENDING,
    DeviceStatus.INSTALLED_NOT_COMMISSIONED,
    DeviceStatus.DECOMMISSIONED,
]


@pytest.mark.parametrize("status", ABSENT)
async def test_an_accepted_instruction_waits_in_a_hub_that_does_not_fit_at_the_merge(
    stand: Stand, status: DeviceStatus
) -> None:
    """Accepted while Commissioned, merged while it is not and has no row; it counts when the hub is back (I1)."""
    await announced(stand)
    await inventory_changes(stand, record(HUB, 2, status=status))
    await stand.instruct(instruction("elec", [HUB]))
    assert (await stand.told())[HUB].answers == {"elec": AnswerKind.INSTRUCT}
    await stand.tick("jobs")
    await stand.decide(1, Mode.RUN)
    await stand.settle()
    assert await stand.distributed() == []
    await stand.smi_says(record(HUB, 3))
    item = (await stand.told())[HUB]
    assert (item.state, item.activate_at, item.answers) == (HubState.SCHEDULED, T, {"elec": AnswerKind.INSTRUCT})
    await stand.tick("claim")
    assert await stand.distributed() == [HUB]


async def test_an_accepted_instruction_waits_for_a_hub_that_the_register_does_not_show_yet(stand: Stand) -> None:
    await stand.announce()
    await stand.instruct(instruction("elec", [HUB]))
    item = (await stand.told())[HUB]
    assert (item.state, item.reason) == ("unfit", "unknown_hub")
    assert await stand.fetch("select hub, kind from anomaly") == [(HUB, "instruction_for_unknown_hub")]
    await stand.smi_says(record(HUB, 1))
    assert (await stand.told())[HUB].activate_at == T
    assert await stand.states() == {"scheduled": 1}


@pytest.mark.parametrize(
    "gone", [{"status": DeviceStatus.DECOMMISSIONED}, {"firmware": "OTHER"}], ids=["departed", "superseded"]
)
async def test_an_accepted_instruction_counts_in_a_hub_that_comes_back(stand: Stand, gone: dict[str, Any]) -> None:
    """The ledger learns late that the hub is back: intake looked at the register, which knew it already."""
    await stand.enrolled([HUB])
    await stand.smi_says(record(HUB, 2, **gone))
    await stand.instruct(instruction("elec", [HUB]))
    await stand.smi_says(record(HUB, 3))
    assert (await stand.told())[HUB].answers == {"elec": AnswerKind.INSTRUCT}
    assert await stand.states() == {"scheduled": 1}


async def test_an_accepted_instruction_is_kept_in_a_release_that_ended_before_the_merge(stand: Stand) -> None:
    await announced(stand)
    await stand.decide(1, Mode.STOP, halt=1)
    await stand.instruct(instruction("elec", [HUB]))
    item = (await stand.told())[HUB]
    assert item.answers == {"elec": AnswerKind.INSTRUCT}
    await stand.settle()
    assert await stand.distributed() == []


async def test_notices_of_two_releases_take_them_in_the_order_of_their_names(stand: Stand) -> None:
    """A batch that brings them the other way round holds neither while it waits for the first."""
    later = ReleaseId(f"{RELEASE}-later")
    async with stand.database.transaction() as tx:
        await releases.own_release(tx, RELEASE)
        both = stand.consume(RELEASE_NOTIFIED, notice(release_id=later), notice())
        announcing = await begin(stand, both)
        async with stand.database.transaction() as other:
            assert await releases.try_share_release(other, later)
    await announcing
    assert await stand.fetch("select count(*) from release") == [(2,)]
