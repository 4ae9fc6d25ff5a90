"""Edges and hubs on a real Postgres: fence, distribute, deliver, command, activate, and every repeat of them."""

from chfw_common.events.alert import ALERT_FAILURE, ALERT_SUCCESS
from chfw_common.events.command import CommandItem, CommandKind
from chfw_common.events.fenced import RolloutFenced
from chfw_common.kernel.ids import HubId
from chfw_common.runtime.service import TickResult, Tx
from chfw_device_sim.stages import activate, deliver, fence, load, receive_distribution
from chfw_device_sim.store import device
from tests.service.device_sim.stand import (
    DAY,
    HOUR,
    HUBS,
    KIND,
    R1,
    SECOND,
    SURE,
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
    image,
    load_devices,
    network,
    obey,
    run_activations,
)
from tests.support.times import still


async def test_a_load_leaves_known_devices_alone(tx: Tx) -> None:
    new = [device.NewDevice(hub, 0, "North", "106C", "M", "1", "OLD") for hub in HUBS]
    first = await load.command(tx, new[:2], still(T0))
    again = await load.command(tx, [entry._replace(firmware="ELSE") for entry in new], still(T0))
    assert (first.answer.new, again.answer.new, again.answer.known) == (2, 1, 2)
    assert {hub: row["firmware"] for hub, row in (await devices(tx)).items()} == {A: "OLD", B: "OLD", C: "ELSE"}
    assert [row["hub"] for row in await device.page(tx, A, 1)] == [B]


async def test_an_image_is_delivered_after_its_delay_and_acknowledged_once_more_when_asked(tx: Tx) -> None:
    await load_devices(tx)
    assert await distribute(tx, image(*HUBS)) == []
    assert await distribute(tx, image(*HUBS)) == [], "a repeat while it travels changes nothing"
    assert await deliver.next_due(tx, T0) == T0 + HOUR
    assert await deliver.tick(SURE).run(tx, still(T0 + HOUR - SECOND)) == TickResult()
    done = await deliver.tick(SURE).run(tx, still(T0 + HOUR))
    assert [(item.hub, item.kind, item.epoch, item.at) for item in answers(done.outgoing)] == [
        (hub, KIND.DELIVERED, 1, T0 + HOUR) for hub in HUBS
    ]
    assert await deliver.next_due(tx, T0) is None
    at = T0 + 2 * HOUR
    assert [item.kind for item in await distribute(tx, image(*HUBS, at=at), now=at)] == [KIND.DELIVERED] * 3


async def test_a_failed_delivery_says_why_and_can_be_tried_again(tx: Tx) -> None:
    failing = network(file_transfer_failure=1.0)
    await load_devices(tx, [A])
    await distribute(tx, image(A))
    done = await deliver.tick(failing).run(tx, still(T0 + HOUR))
    assert [(item.kind, item.reason) for item in answers(done.outgoing)] == [
        (KIND.DELIVERY_FAILED, "FileTransferFailure")
    ]
    at = T0 + HOUR
    assert await distribute(tx, image(A, at=at), now=at) == []
    assert await tx.fetchval("select deliveries from device where hub = $1", A) == 2


async def test_a_hub_that_never_answers_says_nothing_ever(tx: Tx) -> None:
    silent = network(never_answers=1.0)
    await load_devices(tx)
    assert await distribute(tx, image(*HUBS), on=silent) == []
    assert await deliver.next_due(tx, T0) is None
    read = command(CommandKind.READ, CommandItem(hub=A, counter=2))
    assert await obey(tx, arm(A, 1), read, on=silent) == []
    assert await activate.next_due(tx, T0) is None


async def test_the_edge_refuses_what_is_stale_early_expired_or_skewed(tx: Tx) -> None:
    await load_devices(tx, [A])
    await load_devices(tx, [B], region="South")
    for now, sent_at, reason in (
        (T0 - 6 * SECOND, T0, "too_early"),
        (T0 + HOUR + SECOND, T0, "permit_expired"),
        (T0, T0 + 6 * SECOND, "skewed"),
    ):
        refused = await distribute(tx, image(A, B, epoch=4), now=now, sent_at=sent_at)
        assert [(item.hub, item.kind, item.reason, item.epoch) for item in refused] == [
            (A, KIND.DISTRIBUTION_REFUSED, reason, 4),
            (B, KIND.DISTRIBUTION_REFUSED, reason, 4),
        ]
    assert await distribute(tx, image(A, B, epoch=4), sent_at=T0 + 5 * SECOND) == []


async def test_a_halt_is_acknowledged_by_every_edge_and_nothing_older_passes(tx: Tx) -> None:
    await load_devices(tx)
    decisions = batch("rollout.decision", decision(3))
    for _ in range(2):
        outcome = await fence.handle_decisions(SURE, tx, decisions, still(T0))
        said = [out.event for out in outcome.outgoing if isinstance(out.event, RolloutFenced)]
        assert [(event.edge, event.min_epoch) for event in said] == [("North", 3), ("South", 3)]
    lower = await fence.handle_decisions(SURE, tx, batch("rollout.decision", decision(2)), still(T0))
    assert {out.event.min_epoch for out in lower.outgoing if isinstance(out.event, RolloutFenced)} == {3}
    (refused,) = await distribute(tx, image(A, epoch=2))
    assert (refused.kind, refused.reason) == (KIND.DISTRIBUTION_REFUSED, "stale_epoch")
    (refused,) = await obey(tx, arm(A, 7))
    assert (refused.kind, refused.reason, refused.counter, refused.epoch) == (
        KIND.COMMAND_REFUSED,
        "stale_epoch",
        7,
        1,
    )
    assert await tx.fetchval("select counter from device where hub = $1", A) == 0, "the hub never saw it"
    assert await distribute(tx, image(A, epoch=3)) == []


async def test_an_armed_hub_activates_at_its_time_and_raises_one_alert(tx: Tx) -> None:
    await held(tx)
    accepted = await obey(tx, arm(A, 1), arm(B, 1))
    assert [(item.hub, item.kind, item.counter) for item in accepted] == [
        (A, KIND.ACTIVATION_ACCEPTED, 1),
        (B, KIND.ACTIVATION_ACCEPTED, 1),
    ]
    assert await obey(tx, arm(A, 1), arm(B, 1)) == accepted, "a repeat gets the stored receipts"
    assert await activate.tick(SURE).run(tx, still(T0 + DAY - SECOND)) == TickResult()
    late = T0 + DAY + HOUR
    raised = alerts((await run_activations(tx, late)).outgoing)
    assert [
        (item.hub, item.alert_code, item.alert_counter, item.command_counter, item.outcome, item.firmware)
        for item in raised
    ] == [(A, ALERT_SUCCESS, 1, 1, 0, "NEW"), (B, ALERT_SUCCESS, 1, 1, 0, "NEW")]
    assert alerts((await run_activations(tx, late)).outgoing) == []
    row = (await devices(tx))[A]
    assert (row["firmware"], row["activated_release"], row["activated_at"], row["activations"]) == ("NEW", R1, late, 1)
    assert (await devices(tx))[C]["firmware"] == "OLD"


async def test_a_second_command_for_an_activated_release_does_not_activate_again(tx: Tx) -> None:
    await held(tx, [A])
    await obey(tx, arm(A, 1))
    await run_activations(tx, T0 + DAY)
    await obey(tx, arm(A, 2))
    assert await activate.next_due(tx, T0) is None
    assert (await devices(tx))[A]["activations"] == 1


async def test_failed_activations_say_which_and_keep_the_version(tx: Tx) -> None:
    await load_devices(tx)
    await obey(tx, arm(A, 1))
    (item,) = alerts((await run_activations(tx, T0 + DAY)).outgoing)
    assert (item.alert_code, item.outcome, item.firmware) == (ALERT_FAILURE, 1, "OLD")
    await distribute(tx, image(A))
    await deliver.tick(SURE).run(tx, still(T0 + HOUR))
    other = arm(A, 2).model_copy(update={"image_hash": "another"})
    await obey(tx, other)
    (item,) = alerts((await run_activations(tx, T0 + DAY)).outgoing)
    assert (item.outcome, item.alert_counter) == (2, 2)
    await obey(tx, arm(A, 3))
    (item,) = alerts((await run_activations(tx, T0 + DAY, network(activation_failure=1.0))).outgoing)
    assert (item.outcome, item.command_counter) == (3, 3)
    row = (await devices(tx))[A]
    assert (row["firmware"], row["activations"], row["activated_release"]) == ("OLD", 0, None)


async def test_a_lost_alert_leaves_an_activated_hub_that_a_read_finds(tx: Tx) -> None:
    losing = network(lost_alert=1.0)
    await held(tx, [A])
    await obey(tx, arm(A, 1))
    assert (await run_activations(tx, T0 + DAY, losing)).outgoing == []
    read = command(CommandKind.READ, CommandItem(hub=A, counter=2))
    (item,) = await obey(tx, read)
    assert (item.kind, item.firmware, item.counter) == (KIND.VERSION_READ, "NEW", 2)
    assert await obey(tx, read) == [item]


async def test_a_cancel_disarms_or_is_too_late_and_no_older_command_comes_back(tx: Tx) -> None:
    await held(tx)
    await obey(tx, arm(A, 1), arm(B, 1))
    cancel = command(CommandKind.CANCEL, CommandItem(hub=A, counter=2, cancels=1))
    (item,) = await obey(tx, cancel)
    assert (item.kind, item.counter) == (KIND.CANCEL_ACCEPTED, 2)
    (item,) = await obey(tx, arm(A, 1))
    assert (item.kind, item.counter) == (KIND.CANCEL_ACCEPTED, 2), "out of order: the stored receipt, and not armed"
    assert [entry.hub for entry in alerts((await run_activations(tx, T0 + DAY)).outgoing)] == [B]
    late = command(CommandKind.CANCEL, CommandItem(hub=B, counter=2, cancels=1))
    (item,) = await obey(tx, late)
    assert item.kind is KIND.CANCEL_TOO_LATE
    assert (await devices(tx))[A]["firmware"] == "OLD"


async def test_commands_of_one_batch_build_on_each_other(tx: Tx) -> None:
    await held(tx, [A])
    cancel = command(CommandKind.CANCEL, CommandItem(hub=A, counter=2, cancels=1))
    given = await obey(tx, arm(A, 1), cancel, arm(A, 3, T0 + 2 * DAY))
    assert [item.kind for item in given] == [KIND.ACTIVATION_ACCEPTED, KIND.CANCEL_ACCEPTED, KIND.ACTIVATION_ACCEPTED]
    assert await activate.next_due(tx, T0) == T0 + 2 * DAY


async def test_unknown_hubs_are_anomalies_once(tx: Tx) -> None:
    for _ in range(2):
        assert await distribute(tx, image(A)) == []
        assert await obey(tx, arm(A, 1)) == []
    rows = await tx.fetch("select what, hub, counter from anomaly order by counter")
    assert [tuple(row) for row in rows] == [("unknown_hub", A, 0), ("unknown_hub", A, 1)]


async def test_a_tick_takes_at_most_a_chunk_of_as_many_partitions_as_it_needs(tx: Tx) -> None:
    many = [HubId(n) for n in range(600)]
    await load.command(
        tx, [device.NewDevice(hub, hub % 2, "North", "106C", "M", "1", "OLD") for hub in many], still(T0)
    )
    more = [HubId(n) for n in range(1_000, 1_600)]
    await load.command(tx, [device.NewDevice(hub, 5, "North", "106C", "M", "1", "OLD") for hub in more], still(T0))
    await distribute(tx, image(*many, *more))
    done = await calls(deliver.tick(SURE).run, tx, still(T0 + HOUR))
    sizes = [[(event.partition, event.event.weight) for event in result.outgoing] for result in done]
    assert sizes == [[(0, 300), (1, 200)], [(1, 100), (5, 400)], [(5, 200)]]


async def test_an_image_that_takes_the_place_of_another_ends_the_wait_of_its_release(tx: Tx) -> None:
    """The release whose image never comes is told, on the air and in a queue; else its hubs would wait for ever."""
    full = network(in_flight=1)
    await load_devices(tx)
    await distribute(tx, image(*HUBS), on=full)
    other = image(*HUBS, epoch=7).model_copy(update={"release_id": "r2", "image_hash": "other"})
    outcome = await receive_distribution.handle(full, tx, batch("firmware.distributed", other), still(T0))
    said = [(out.event.release_id, item) for out in outcome.outgoing for item in out.event.items]  # type: ignore[attr-defined]
    assert {item.hub for _, item in said} == set(HUBS)
    assert {(release, item.kind, item.epoch, item.reason) for release, item in said} == {
        (R1, KIND.DELIVERY_FAILED, 1, "FirmwareImageDiscarded")
    }
    assert await distribute(tx, other, on=full) == []
