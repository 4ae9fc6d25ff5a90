"""How the fleet behaves: what fails, comes late, twice or after an outage, and regions that are full."""

from datetime import datetime

import pytest

from chfw_common.events.command import CommandItem, CommandKind
from chfw_common.kernel.ids import HubId
from chfw_common.runtime.service import Outgoing, TickResult, Tx
from chfw_device_sim.domain.fate import Span
from chfw_device_sim.stages import call_up, deliver, fence, hear
from tests.service.device_sim.stand import (
    DAY,
    HOUR,
    HUBS,
    KIND,
    T0,
    A,
    B,
    C,
    alerts,
    answers,
    arm,
    batch,
    calls,
    command,
    decision,
    devices,
    distribute,
    held,
    hubs_of_one_partition,
    image,
    load_devices,
    network,
    obey,
    run_activations,
)
from tests.support.times import still


async def run_hearing(tx: Tx, now: datetime) -> list[Outgoing]:
    return [event for done in await calls(hear.tick().run, tx, still(now)) for event in done.outgoing]


async def test_a_delivery_fails_for_the_reason_that_was_drawn(tx: Tx) -> None:
    for failing, reason in (
        (network(hardware_version_mismatch=1.0), "HardwareVersionMismatch"),
        (network(firmware_image_discarded=1.0), "FirmwareImageDiscarded"),
    ):
        await load_devices(tx, [A])
        await distribute(tx, image(A))
        (item,) = answers((await deliver.tick(failing).run(tx, still(T0 + HOUR))).outgoing)
        assert (item.kind, item.reason) == (KIND.DELIVERY_FAILED, reason)


async def test_a_late_alert_is_heard_later_and_a_repeated_one_twice(tx: Tx) -> None:
    late = network(late_alert=1.0, late=Span(5 * HOUR, 5 * HOUR))
    await held(tx)
    await obey(tx, arm(A, 1))
    assert (await run_activations(tx, T0 + DAY, late)).outgoing == []
    assert await hear.next_due(tx, T0) == T0 + DAY + 5 * HOUR
    assert await hear.tick().run(tx, still(T0 + DAY)) == TickResult()
    (item,) = alerts(await run_hearing(tx, T0 + DAY + 5 * HOUR))
    assert (item.hub, item.alert_counter, item.executed_at) == (A, 1, T0 + DAY)
    twice = network(repeated_alert=1.0, repeated=Span(HOUR, HOUR))
    await obey(tx, arm(B, 1))
    first = alerts((await run_activations(tx, T0 + DAY, twice)).outgoing)
    assert alerts(await run_hearing(tx, T0 + DAY + HOUR)) == first
    assert await hear.next_due(tx, T0) is None


async def test_a_hub_out_of_reach_has_got_its_command_and_answers_the_next_day(tx: Tx) -> None:
    half = network(out_of_reach={"North": 0.5})
    await held(tx)
    given = await obey(tx, arm(A, 1), arm(B, 1), arm(C, 1), on=half)
    silent = {A, B, C} - {item.hub for item in given}
    assert silent == {hub for hub in HUBS if half.radio.fate.out_of_reach(hub, "North", T0.toordinal())}
    assert silent, "the draws are fixed"
    again = answers(await run_hearing(tx, T0 + DAY))
    assert {(item.hub, item.kind, item.at) for item in again} == {(hub, KIND.ACTIVATION_ACCEPTED, T0) for hub in silent}


async def test_a_restarting_hub_raises_its_alert_and_answers_afterwards(tx: Tx) -> None:
    slow = network(slow_restart=1.0, restart=Span(HOUR / 10, HOUR / 10))
    await held(tx, [A])
    await obey(tx, arm(A, 1))
    assert (await run_activations(tx, T0 + DAY, slow)).outgoing == []
    read = command(CommandKind.READ, CommandItem(hub=A, counter=2), at=T0 + DAY)
    assert await obey(tx, read, on=slow, now=T0 + DAY) == []
    heard = await run_hearing(tx, T0 + DAY + HOUR / 10)
    assert [item.kind for item in answers(heard)] == [KIND.VERSION_READ]
    assert [item.alert_counter for item in alerts(heard)] == [1]


@pytest.mark.parametrize("trouble", ["hash_mismatch", "no_image_held"])
async def test_an_image_that_a_hub_found_broken_or_missing_travels_anew(tx: Tx, trouble: str) -> None:
    """It is not "held already": the next hand-over brings it, and then it can be activated."""
    troubled = network(hash_mismatch=1.0) if trouble == "hash_mismatch" else network(no_image_held=1.0)
    await held(tx, [A])
    await obey(tx, arm(A, 1))
    (item,) = alerts((await run_activations(tx, T0 + DAY, troubled)).outgoing)
    assert item.outcome == {"hash_mismatch": 2, "no_image_held": 1}[trouble]
    assert (await devices(tx))[A]["held_firmware"] is None
    assert await distribute(tx, image(A)) == [], "it comes, and is not there at once"
    assert [one.kind for one in answers((await deliver.tick(network()).run(tx, still(T0 + 2 * DAY))).outgoing)] == [
        KIND.DELIVERED
    ]
    await obey(tx, arm(A, 2, at=T0 + 3 * DAY))
    assert [one.outcome for one in alerts((await run_activations(tx, T0 + 3 * DAY)).outgoing)] == [0]


async def queue_of(tx: Tx) -> list[tuple[object, ...]]:
    rows = await tx.fetch("select in_flight, queued from lane where region = 'North'")
    return [tuple(row) for row in rows]


async def test_a_full_region_lets_images_wait_in_order_and_drops_none(tx: Tx) -> None:
    narrow = network(in_flight=2)
    many = hubs_of_one_partition(7)
    await load_devices(tx, many)
    assert await distribute(tx, image(*many), on=narrow) == []
    assert await queue_of(tx) == [(2, 5)]
    assert await call_up.next_due(narrow, tx, T0) is None
    delivered: list[HubId] = []
    now = T0
    for _ in range(4):
        now += HOUR
        came = [item.hub for item in answers((await deliver.tick(narrow).run(tx, still(now))).outgoing)]
        assert len(came) <= 2
        delivered += came
        assert (await call_up.next_due(narrow, tx, now) is None) == (len(delivered) == len(many))
        await calls(call_up.tick(narrow).run, tx, still(now))
    assert delivered == many
    assert await queue_of(tx) == [(0, 0)]


async def test_the_rate_of_a_region_spreads_deliveries(tx: Tx) -> None:
    slow = network(per_hour=1)
    await load_devices(tx)
    await distribute(tx, image(*HUBS), on=slow)
    due = await tx.fetch("select deliver_at from device order by deliver_at")
    assert [row[0] for row in due] == [T0 + HOUR, T0 + 2 * HOUR, T0 + 3 * HOUR]


async def test_what_waits_when_a_halt_comes_is_refused_when_its_turn_comes(tx: Tx) -> None:
    narrow = network(in_flight=1)
    await load_devices(tx)
    await distribute(tx, image(*HUBS, epoch=1), on=narrow)
    await fence.handle_decisions(narrow, tx, batch("rollout.decision", decision(2)), still(T0))
    await deliver.tick(narrow).run(tx, still(T0 + HOUR))
    refused = answers((await call_up.tick(narrow).run(tx, still(T0 + HOUR))).outgoing)
    assert [(item.kind, item.reason) for item in refused] == [(KIND.DISTRIBUTION_REFUSED, "stale_epoch")]
    await call_up.tick(narrow).run(tx, still(T0 + HOUR))
    assert await queue_of(tx) == [(0, 0)]
