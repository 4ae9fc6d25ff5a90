"""A suspended hub that runs another version is commissioned again, by its own word alone (ADR 0057)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chfw_common.events.alert import Cs06Alert
from chfw_common.events.response import HubResponse, ResponseItem, ResponseKind
from chfw_common.events.smi import SmiHub
from chfw_common.kernel.hubs import DeviceStatus
from chfw_common.kernel.ids import HubId
from chfw_common.published import smi as published
from chfw_common.runtime.service import Tx
from chfw_smi.domain.inventory import FormerStatus
from chfw_smi.stages import load, observe
from chfw_smi.store import status
from tests.service.smi.test_stages import HOUR, R1, T0, alert, batch, record, told
from tests.support.times import still

HUB, SUSPENDED, COMMISSIONED = HubId(1), DeviceStatus.SUSPENDED, DeviceStatus.COMMISSIONED
SINCE = T0 - 30 * timedelta(days=1)


async def suspended(tx: Tx, state: DeviceStatus = SUSPENDED) -> None:
    """Two hubs of this status."""
    records = [replace(record(number, gpf=10 + number), status=state, status_since=SINCE) for number in (1, 2)]
    await load.command(tx, records, still(T0))


async def shown(tx: Tx) -> tuple[str, object]:
    row = await tx.fetchrow("select status, status_since from hub where hub = 1")
    return row["status"], row["status_since"]


def version_read(counter: int, firmware: str) -> HubResponse:
    item = ResponseItem(
        hub=HUB, kind=ResponseKind.VERSION_READ, at=T0 + counter * HOUR, counter=counter, firmware=firmware
    )
    return HubResponse(release_id=R1, items=(item,))


async def hear(tx: Tx, *events: HubResponse | Cs06Alert) -> list[SmiHub]:
    """What is told of alerts and reads, in this order."""
    items: list[SmiHub] = []
    for event in events:
        if isinstance(event, HubResponse):
            items += told((await observe.handle_responses(tx, batch("hub.response", [event]), still(T0))).outgoing)
        else:
            items += told((await observe.handle_alerts(tx, batch("cs06.alert", [event]), still(T0))).outgoing)
    return items


@pytest.mark.parametrize("word", [alert(1), version_read(1, "NEW")], ids=["alert", "read"])
async def test_the_word_that_changes_the_version_ends_the_suspension(tx: Tx, word: HubResponse | Cs06Alert) -> None:
    await suspended(tx)
    (item,) = await hear(tx, word)
    assert (item.firmware, item.status, item.smi_version) == ("NEW", COMMISSIONED, 2)
    assert await shown(tx) == ("Commissioned", T0 + HOUR)
    assert await status.find(tx, HUB) == [FormerStatus(HUB, 2, SUSPENDED, SINCE, T0 + HOUR)]
    assert (await published.lookup(tx, [HUB]))[HUB].status is COMMISSIONED
    assert await tx.fetchval("select status from hub where hub = 2") == "Suspended"


async def test_a_word_that_changes_no_version_ends_nothing(tx: Tx) -> None:
    await suspended(tx)
    items = await hear(tx, alert(1, 1, firmware="OLD", outcome=3), version_read(2, "OLD"))
    assert [item.status for item in items] == [SUSPENDED, SUSPENDED]
    assert (await shown(tx), await status.find(tx, HUB)) == (("Suspended", SINCE), [])


async def test_repeats_and_later_words_restore_it_once(tx: Tx) -> None:
    await suspended(tx)
    items = await hear(tx, alert(1), version_read(2, "NEW"), alert(1), version_read(2, "NEW"))
    assert [(item.status, item.smi_version) for item in items] == [(COMMISSIONED, 2), (COMMISSIONED, 3)]
    assert len(await status.find(tx, HUB)) == 1
    assert await shown(tx) == ("Commissioned", T0 + HOUR)


async def test_of_a_failure_and_a_success_in_one_batch_both_are_told_as_they_were(tx: Tx) -> None:
    await suspended(tx)
    alerts = batch("cs06.alert", [alert(1, 1, firmware="OLD", outcome=3), alert(1, 2)])
    items = told((await observe.handle_alerts(tx, alerts, still(T0))).outgoing)
    assert [(item.firmware, item.status) for item in items] == [("OLD", SUSPENDED), ("NEW", COMMISSIONED)]


async def test_a_suspension_that_reached_the_inventory_before_the_alert_has_no_negative_length(tx: Tx) -> None:
    await load.command(tx, [record(1)], still(T0))
    await load.command(tx, [replace(record(1), status=SUSPENDED)], still(T0 + 9 * HOUR))
    await hear(tx, alert(1))
    assert await shown(tx) == ("Commissioned", T0 + 9 * HOUR)
    assert (await status.find(tx, HUB))[-1] == FormerStatus(HUB, 3, SUSPENDED, T0 + 9 * HOUR, T0 + 9 * HOUR)


@pytest.mark.parametrize("state", [s for s in DeviceStatus if s is not SUSPENDED])
async def test_no_other_status_is_changed(tx: Tx, state: DeviceStatus) -> None:
    await suspended(tx, state)
    (item,) = await hear(tx, alert(1))
    assert item.status is state
    assert await shown(tx) == (state.value, SINCE)
