"""The inventory's stages on a real Postgres."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import pytest

from chfw_common.events.alert import ALERT_FAILURE, ALERT_SUCCESS, AlertItem, Cs06Alert
from chfw_common.events.base import Event
from chfw_common.events.response import HubResponse, ResponseItem, ResponseKind
from chfw_common.events.smi import CauseKind, SmiHub, SmiUpdated
from chfw_common.kernel.hubs import DeviceStatus, DeviceType
from chfw_common.kernel.ids import HubId, PartyId, ReleaseId, UserId
from chfw_common.kernel.roles import Role
from chfw_common.published import smi as published
from chfw_common.runtime.service import Batch, Outgoing, Received, Tx
from chfw_common.topology import partition_of_hub
from chfw_smi.api.bodies import view_for_dcc, view_for_supplier
from chfw_smi.domain.inventory import Claimed, GpfTakenError, Loaded, SupplierChange
from chfw_smi.stages import change_supplier, load, observe
from chfw_smi.store import hub as store
from tests.support.times import still

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
R1 = ReleaseId("r1")
IMPORT = Claimed(Role.IMPORT_SUPPLIER, PartyId("alpha"), UserId("U-1"), T0)
GAS = Claimed(Role.GAS_SUPPLIER, PartyId("beta"), UserId("U-2"), T0)

EventT = TypeVar("EventT", bound=Event)


def record(number: int, *, firmware: str = "OLD", gpf: int | None = None) -> Loaded:
    return Loaded(
        hub=HubId(number),
        gpf=HubId(gpf) if gpf else None,
        device_type=DeviceType.CHF,
        status=DeviceStatus.COMMISSIONED,
        status_since=None,
        manufacturer="106C",
        model="433100AC",
        hardware="0001",
        firmware=firmware,
        gbcs="4.1",
        region="North",
        responsible=(IMPORT, GAS),
    )


def batch(topic: str, events: Sequence[EventT]) -> Batch[EventT]:
    return Batch(topic, 0, tuple(Received(n, UUID(int=n), T0, event) for n, event in enumerate(events)))


def told(outgoing: Sequence[Outgoing]) -> list[SmiHub]:
    events = [out.event for out in outgoing]
    return [item for event in events if isinstance(event, SmiUpdated) for item in event.items]


def alert(number: int, counter: int = 1, *, firmware: str = "NEW", outcome: int = 0) -> Cs06Alert:
    item = AlertItem(
        hub=HubId(number),
        alert_code=ALERT_FAILURE if outcome else ALERT_SUCCESS,
        alert_counter=counter,
        command_counter=1000 + counter,
        outcome=outcome,
        firmware=firmware,
        executed_at=T0 + counter * HOUR,
    )
    return Cs06Alert(release_id=R1, items=(item,))


async def gpf_firmware(tx: Tx, gpf: int) -> str:
    return str(await tx.fetchval("select firmware from gpf where gpf = $1", gpf))


async def test_a_load_is_told_once_and_only_changes_after_that(tx: Tx) -> None:
    records = [record(number, gpf=1000 + abs(number)) for number in (-5, 3, 9)]
    first = await load.command(tx, records, still(T0))
    assert (first.answer.new, first.answer.changed, first.answer.unchanged) == (3, 0, 0)
    assert {(item.hub, item.smi_version, item.cause.kind) for item in told(first.outgoing)} == {
        (-5, 1, CauseKind.LOAD),
        (3, 1, CauseKind.LOAD),
        (9, 1, CauseKind.LOAD),
    }
    again = await load.command(tx, records, still(T0 + HOUR))
    assert (again.answer.unchanged, list(again.outgoing)) == (3, [])
    changed = await load.command(tx, [replace(records[1], region="South"), records[2]], still(T0 + HOUR))
    assert [(item.hub, item.region, item.smi_version) for item in told(changed.outgoing)] == [(3, "South", 2)]
    assert first.cause != changed.cause


async def test_two_hubs_may_swap_gpfs_and_a_taken_one_is_refused(tx: Tx) -> None:
    await load.command(tx, [record(1, gpf=11), record(2, gpf=12)], still(T0))
    swapped = await load.command(tx, [record(1, gpf=12), record(2, gpf=11)], still(T0))
    assert swapped.answer.changed == 2
    with pytest.raises(GpfTakenError):
        async with tx.transaction():
            await load.command(tx, [record(3, gpf=11)], still(T0))
    await load.command(tx, [record(1)], still(T0))
    assert await tx.fetchval("select count(*) from gpf") == 1


async def test_an_alert_changes_chf_and_gpf_and_its_repeat_nothing(tx: Tx) -> None:
    await load.command(tx, [record(1, gpf=11), record(2, gpf=12)], still(T0))
    alerts = batch("cs06.alert", [alert(1)])
    (item,) = told((await observe.handle_alerts(tx, alerts, still(T0))).outgoing)
    assert (item.firmware, item.smi_version) == ("NEW", 2)
    assert (item.cause.kind, item.cause.release_id, item.cause.counter, item.cause.outcome) == (
        CauseKind.ALERT,
        "r1",
        1001,
        0,
    )
    assert await gpf_firmware(tx, 11) == "NEW"
    assert await gpf_firmware(tx, 12) == "OLD"
    assert told((await observe.handle_alerts(tx, alerts, still(T0))).outgoing) == []
    found = await published.lookup(tx, [HubId(1), HubId(2), HubId(77)])
    assert {key: (entry.firmware, entry.smi_version) for key, entry in found.items()} == {1: ("NEW", 2), 2: ("OLD", 1)}


async def test_a_batch_may_carry_one_alert_twice_and_a_failure_before_success(tx: Tx) -> None:
    await load.command(tx, [record(1, gpf=11)], still(T0))
    alerts = batch("cs06.alert", [alert(1, 1, firmware="OLD", outcome=3), alert(1, 1, outcome=3), alert(1, 2)])
    items = told((await observe.handle_alerts(tx, alerts, still(T0))).outgoing)
    assert [(item.cause.outcome, item.firmware, item.smi_version) for item in items] == [(3, "OLD", 2), (0, "NEW", 3)]
    assert await gpf_firmware(tx, 11) == "NEW"


async def test_an_unknown_hub_is_an_anomaly_and_the_rest_goes_on(tx: Tx) -> None:
    await load.command(tx, [record(1)], still(T0))
    alerts = batch("cs06.alert", [alert(404), alert(1)])
    for _ in range(2):
        outcome = await observe.handle_alerts(tx, alerts, still(T0))
        assert list(outcome.parked) == []
    rows = await tx.fetch("select what, hub, counter from anomaly")
    assert [tuple(row) for row in rows] == [("unknown_hub", 404, 1)]
    assert (await published.lookup(tx, [HubId(1)]))[HubId(1)].firmware == "NEW"


async def test_a_read_is_told_also_when_nothing_changed_and_other_responses_are_not(tx: Tx) -> None:
    await load.command(tx, [record(1, gpf=11)], still(T0))
    at = T0 + HOUR
    items = (
        ResponseItem(hub=HubId(1), kind=ResponseKind.DELIVERED, at=at),
        ResponseItem(hub=HubId(1), kind=ResponseKind.VERSION_READ, at=at, counter=5, firmware="OLD"),
    )
    responses = batch("hub.response", [HubResponse(release_id=R1, items=items)])
    (item,) = told((await observe.handle_responses(tx, responses, still(at))).outgoing)
    assert (item.cause.kind, item.cause.counter, item.cause.outcome, item.smi_version) == (CauseKind.READ, 5, None, 2)
    assert told((await observe.handle_responses(tx, responses, still(at))).outgoing) == []
    newer = ResponseItem(hub=HubId(1), kind=ResponseKind.VERSION_READ, at=at + HOUR, counter=6, firmware="NEW")
    responses = batch("hub.response", [HubResponse(release_id=R1, items=(newer,))])
    await observe.handle_responses(tx, responses, still(at))
    assert await gpf_firmware(tx, 11) == "NEW"


async def test_a_change_of_supplier_is_told_once_and_unknown_hubs_are_named(tx: Tx) -> None:
    await load.command(tx, [record(1), record(2)], still(T0))
    joiner = Claimed(Role.GAS_SUPPLIER, PartyId("gamma"), UserId("U-3"), T0 + HOUR)
    changes = [
        SupplierChange(HubId(1), Role.GAS_SUPPLIER, joiner),
        SupplierChange(HubId(1), Role.IMPORT_SUPPLIER, None),
        SupplierChange(HubId(9), Role.GAS_SUPPLIER, joiner),
    ]
    done = await change_supplier.command(tx, changes, still(T0 + HOUR))
    assert (done.answer.changed, done.answer.unknown) == (1, (9,))
    (item,) = told(done.outgoing)
    assert [(entry.party, entry.role, entry.since) for entry in item.responsible] == [
        ("gamma", Role.GAS_SUPPLIER, T0 + HOUR)
    ]
    assert item.cause.kind is CauseKind.SUPPLIER_CHANGE
    again = await change_supplier.command(tx, changes, still(T0 + 2 * HOUR))
    assert (again.answer.changed, again.answer.unchanged, list(again.outgoing)) == (0, 1, [])


async def test_pages_of_a_model_are_in_signed_order(tx: Tx) -> None:
    numbers = [-(1 << 63), -5, 0, 3, (1 << 63) - 1]
    other = replace(record(100), hardware="0002")
    await load.command(tx, [*(record(number) for number in numbers), other], still(T0))
    seen: list[int] = []
    after: HubId | None = None
    while page := await published.page_of_model(tx, "106C", "433100AC", ["0001"], after, 2):
        assert len(page) <= 2
        seen += [entry.hub for entry in page]
        after = page[-1].hub
    assert seen == numbers
    assert page == []
    (entry,) = (await published.lookup(tx, [HubId(3)])).values()
    assert entry.part == partition_of_hub(HubId(3))


async def test_a_supplier_sees_its_hub_but_not_who_else_answers_for_it(tx: Tx) -> None:
    await load.command(tx, [record(1, gpf=11)], still(T0))
    line = await store.find_own(tx, HubId(1), PartyId("beta"), UserId("U-2"))
    assert line is not None
    assert line == await store.find(tx, HubId(1))
    assert await store.find(tx, HubId(2)) is None
    view = view_for_supplier(line, PartyId("beta"), UserId("U-2"))
    text = view.model_dump_json(exclude_none=True)
    assert view.second_supplier
    assert "alpha" not in text
    assert "U-1" not in text
    assert "smi_version" not in text
    assert await store.find_own(tx, HubId(1), PartyId("beta"), UserId("U-1")) is None
    assert await store.find_own(tx, HubId(1), PartyId("gamma"), UserId("U-3")) is None
    assert len(view_for_dcc(line).responsible) == 2
