"""Instructions on a real Postgres: order, repeats, enrolment, changes of Supplier, answers that come too late."""

import asyncio

import pytest

from chfw_common.events.instruction import InstructionReceived
from chfw_common.events.response import ResponseKind
from chfw_common.kernel.coarse import day_of
from chfw_common.kernel.hubs import DeviceStatus
from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.rollout import AnswerKind, HubState, Mode
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.gauges import read_all
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.repeats import Repeated
from chfw_common.topology import HUB_PARTITIONS
from tests.service.scheduler.stand import HOUR, Stand, T, hubs_of, instruction, record
from tests.support.release import DAY, NOW, RELEASE

OTHER = ReleaseId("CH-9-1")
LEDGER = "select * from ledger order by release_id, part, hub"


@pytest.mark.parametrize("order", [("elec", "gas"), ("gas", "elec")])
async def test_two_parties_meet_in_either_order(stand: Stand, order: tuple[str, str]) -> None:
    hubs = hubs_of(3, 4)
    await stand.enrolled(hubs, parties=("elec", "gas"))
    times = {"elec": T, "gas": T + 3 * DAY}
    await stand.instruct(instruction(order[0], hubs, at=times[order[0]]))
    await stand.day_ends()
    waiting = await stand.told()
    assert {item.state for item in waiting.values()} == {HubState.AWAITING_CONSENT}
    assert {item.answer_by for item in waiting.values()} == {day_of(times[order[0]] - 14 * DAY)}
    second = instruction(order[1], hubs[:2], at=times[order[1]])
    await stand.instruct(second.model_copy(update={"received_at": stand.now + HOUR}))
    await stand.day_ends()
    agreed = await stand.told()
    assert set(agreed) == set(hubs[:2])
    for hub, item in agreed.items():
        assert (item.state, item.activate_at, item.hubs[hub]) == (HubState.SCHEDULED, T + 3 * DAY, 5)
        assert item.answers == {"elec": AnswerKind.INSTRUCT, "gas": AnswerKind.INSTRUCT}


async def test_redelivery_changes_nothing(stand: Stand) -> None:
    hubs = hubs_of(3, 3)
    await stand.enrolled(hubs, parties=("elec", "gas"))
    events = [instruction("elec", hubs), instruction("gas", hubs), instruction("gas", hubs, seq=2, at=T + DAY)]
    await stand.instruct(*events)
    before = await stand.fetch(LEDGER)
    await stand.told()
    stand.now += 5 * DAY
    await stand.instruct(*reversed(events))
    for event in events:
        await stand.instruct(event)
    await stand.smi_says(*(record(hub, 1) for hub in hubs))
    assert await stand.fetch(LEDGER) == before
    assert await stand.told() == {}


async def test_an_instruction_before_the_notice_waits_and_holds_up_nobody(stand: Stand) -> None:
    """The notice may have been parked: other releases of the partition go on, and nothing vanishes (I1)."""
    hubs = hubs_of(3, 2)
    await stand.enrolled(hubs[:1])
    await stand.load_hubs(hubs[1:], parties=("elec", None))
    early = [instruction("elec", hubs[1:], seq=n).model_copy(update={"release_id": OTHER}) for n in (2, 3)]
    await stand.instruct(early[0], instruction("elec", hubs[:1]), early[1])
    await stand.instruct(early[0])
    assert (await stand.told())[hubs[0]].state is HubState.SCHEDULED
    assert await stand.fetch("select count(*) from waiting_instruction") == [(3,)]
    waiting, alarms = Metrics("scheduler", ()), Repeated()
    async with stand.database.transaction() as tx:
        await tx.execute("update waiting_instruction set kept_at = kept_at - interval '10 minutes'")
        await read_all(tx, stand.service, waiting, stand.now, alarms)
    assert waiting.registry.get_sample_value("chfw_alarm", {"kind": "instruction_waits"}) == 1
    age = waiting.registry.get_sample_value("chfw_instructions_waiting_seconds", {"rollout": OTHER})
    assert age is not None
    assert age > 600
    await stand.announce(release_id=OTHER)
    await stand.tick("jobs")
    assert await stand.fetch("select count(*) from waiting_instruction") == [(0,)]
    assert await stand.fetch("select release_id, hub, state from ledger where hub = $1", hubs[1]) == [
        (OTHER, hubs[1], "scheduled")
    ]  # fmt: skip
    async with stand.database.transaction() as tx:
        await read_all(tx, stand.service, waiting, stand.now, alarms)
    assert waiting.registry.get_sample_value("chfw_alarm", {"kind": "instruction_waits"}) == 0


async def test_a_notice_and_an_instruction_at_the_same_moment_meet(stand: Stand) -> None:
    """Whichever commits first: the instruction is merged, at once or by the job."""
    hubs = hubs_of(3, 1)
    await stand.load_hubs(hubs, parties=("elec", None))
    for n in range(8):
        release_id = ReleaseId(f"CH-{n}-0")
        event = instruction("elec", hubs, seq=n + 1).model_copy(update={"release_id": release_id})

        async def instructed(event: InstructionReceived = event) -> None:
            for _ in range(100):
                try:
                    return await stand.instruct(event)
                except TransientError:
                    await asyncio.sleep(0)
            raise AssertionError("the notice is being stored for ever")

        await asyncio.gather(instructed(), stand.announce(release_id=release_id))
    await stand.tick("jobs")
    assert await stand.fetch("select count(*) from ledger where answers::text <> '[]'") == [(8,)]
    assert await stand.fetch("select count(*) from waiting_instruction") == [(0,)]


async def test_an_instruction_before_enrolment_enrols(stand: Stand) -> None:
    hubs = hubs_of(3, 3)
    await stand.load_hubs(hubs[:2], parties=("elec", None))
    await stand.announce()
    await stand.instruct(instruction("elec", hubs))
    assert await stand.states() == {"scheduled": 2, "unfit": 1}
    assert await stand.fetch("select hub, kind from anomaly") == [(hubs[2], "instruction_for_unknown_hub")]
    await stand.tick("jobs")
    assert await stand.states() == {"scheduled": 2, "unfit": 1}


async def test_enrolment_goes_on_after_a_restart_and_totals_sum_to_it(stand: Stand) -> None:
    hubs = [hub for part in range(HUB_PARTITIONS) for hub in hubs_of(part, 40)]
    await stand.load_hubs(hubs)
    await stand.announce()
    await stand.announce()
    assert await stand.tick("jobs", 1) == 1
    assert await stand.states() == {"eligible": 500}
    stand.restart()
    assert await stand.tick("jobs") == 2
    assert await stand.states() == {"eligible": len(hubs)}
    assert await stand.fetch("select kind, state, steps from job") == [("enrol", "done", 3)]
    told = await stand.told()
    assert (len(told), {item.hubs[hub] for hub, item in told.items()}) == (len(hubs), {1})


async def test_a_wider_notice_enrols_more_and_a_narrower_one_supersedes(stand: Stand) -> None:
    (hub,) = hubs_of(3, 1)
    await stand.load_hubs([hub])
    await stand.announce(cpl={"predecessors": ("OLDER",)})
    await stand.tick("jobs")
    assert await stand.states() == {}
    await stand.announce(version=2)
    await stand.tick("jobs")
    assert await stand.states() == {"eligible": 1}
    await stand.announce(version=3, cpl={"predecessors": ("OLDER",)})
    await stand.tick("jobs")
    assert await stand.states() == {"superseded": 1}


async def test_a_change_of_supplier_asks_anew_and_tells_whose_word_lapsed(stand: Stand) -> None:
    (hub,) = hubs_of(3, 1)
    await stand.enrolled([hub])
    await stand.instruct(instruction("elec", [hub]))
    await stand.told()
    await stand.smi_says(record(hub, 2, parties=("next",), since=NOW + DAY))
    item = (await stand.told())[hub]
    assert (item.state, item.answers, item.lapsed) == (HubState.ELIGIBLE, {"next": None}, ("elec",))
    await stand.smi_says(record(hub, 3, parties=()))
    assert await stand.told() == {}, "nobody answers for it, and who did knows"
    assert await stand.fetch("select state, import_party from ledger") == [("eligible", None)]


async def test_a_change_of_supplier_is_told_even_when_it_moves_nothing(stand: Stand) -> None:
    (hub,) = hubs_of(3, 1)
    await stand.enrolled([hub])
    await stand.smi_says(record(hub, 2, parties=("elec", "gas")))
    await stand.day_ends()
    item = (await stand.told())[hub]
    assert (item.answers, item.news_for) == ({"elec": None, "gas": None}, ("elec", "gas"))


async def test_a_change_of_supplier_leaves_an_armed_hub_alone(stand: Stand) -> None:
    (hub,) = hubs_of(3, 1)
    await stand.armed([hub])
    await stand.smi_says(record(hub, 2, parties=("next",), since=NOW + DAY))
    item = (await stand.told())[hub]
    assert (item.state, item.activate_at, item.lapsed) == (HubState.ARMED, T, ("elec",))


async def test_an_older_record_changes_nothing(stand: Stand) -> None:
    (hub,) = hubs_of(3, 1)
    await stand.enrolled([hub])
    await stand.smi_says(record(hub, 5, firmware="NEW"), record(hub, 4, status=DeviceStatus.WITHDRAWN))
    assert await stand.states() == {"confirmed": 1}
    await stand.smi_says(record(hub, 3))
    assert await stand.states() == {"confirmed": 1}


async def test_a_hub_that_arrives_later_is_enrolled_unless_the_release_has_ended(stand: Stand) -> None:
    first, second, third = hubs_of(3, 3)
    await stand.enrolled([first])
    await stand.smi_says(record(second, 1), record(third, 1, firmware="NEW"))
    assert await stand.states() == {"eligible": 2}
    await stand.decide(1, Mode.STOP, halt=1)
    await stand.smi_says(record(third, 2))
    assert await stand.states() == {"eligible": 2}


async def test_an_answer_that_meets_an_armed_hub_is_kept_apart_for_good(stand: Stand) -> None:
    (hub,) = hubs_of(3, 1)
    counters = await stand.armed([hub])
    late = instruction("elec", [hub], seq=2, at=T + 9 * DAY)
    await stand.instruct(late)
    item = (await stand.told())[hub]
    assert (item.state, item.too_late, item.activate_at) == (HubState.ARMED, ("elec",), T)
    await stand.instruct(late)
    assert await stand.told() == {}
    assert await stand.fetch("select hub, party, party_seq from late_answer") == [(hub, "elec", 2)]
    await stand.decide(2, Mode.PAUSE, halt=2)
    await stand.tick("call_back")
    await stand.hubs_say([hub], ResponseKind.CANCEL_ACCEPTED, counter=(await cancel_counter(stand, hub)))
    assert await stand.states() == {"delivered": 1}
    await stand.instruct(late)
    assert await stand.fetch("select activate_at, release_id from ledger") == [(T, RELEASE)]
    await stand.instruct(instruction("elec", [hub], seq=3, at=T + 2 * HOUR))
    assert await stand.fetch("select activate_at from ledger") == [(T + 2 * HOUR,)]
    assert counters[hub] > 0


async def cancel_counter(stand: Stand, hub: int) -> int:
    return int((await stand.fetch("select cancel_counter from ledger where hub = $1", hub))[0][0])
