"""What a chunk of alerts costs, told and not judged: figures differ from machine to machine (run with -s)."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter, process_time
from uuid import UUID

from chfw_common.events.alert import ALERT_SUCCESS, AlertItem, Cs06Alert
from chfw_common.kernel.hubs import DeviceStatus, DeviceType
from chfw_common.kernel.ids import HubId, PartyId, ReleaseId, UserId
from chfw_common.kernel.roles import Role
from chfw_common.runtime.service import Batch, Received, Tx
from chfw_smi.domain.inventory import Claimed, Loaded
from chfw_smi.stages import load, observe
from tests.support.times import still

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HUBS = 440
ROUNDS = 9


def loaded(number: int) -> Loaded:
    return Loaded(
        hub=HubId(number),
        gpf=HubId(100_000 + number),
        device_type=DeviceType.CHF,
        status=DeviceStatus.COMMISSIONED,
        status_since=None,
        manufacturer="106C",
        model="433100AC",
        hardware="0001",
        firmware="OLD",
        gbcs="4.1",
        region="North",
        responsible=(
            Claimed(Role.IMPORT_SUPPLIER, PartyId("alpha"), UserId("U-1"), T0),
            Claimed(Role.GAS_SUPPLIER, PartyId("beta"), UserId("U-2"), T0),
        ),
    )


def alerts(hubs: Sequence[HubId], counter: int) -> Batch[Cs06Alert]:
    at = T0 + counter * timedelta(hours=1)
    items = tuple(
        AlertItem(
            hub=hub,
            alert_code=ALERT_SUCCESS,
            alert_counter=counter,
            command_counter=counter,
            outcome=0,
            firmware=f"NEW{counter}",
            executed_at=at,
        )
        for hub in hubs
    )
    return Batch("cs06.alert", 0, (Received(0, UUID(int=0), T0, Cs06Alert(release_id=ReleaseId("r1"), items=items)),))


async def test_a_chunk_of_alerts(tx: Tx) -> None:
    hubs = [HubId(number) for number in range(HUBS)]
    await load.command(tx, [loaded(number) for number in hubs], still(T0))
    whole, own = [], []
    for counter in range(1, ROUNDS + 1):
        batch = alerts(hubs, counter)
        begun, busy = perf_counter(), process_time()
        outcome = await observe.handle_alerts(tx, batch, still(T0))
        whole.append(perf_counter() - begun)
        own.append(process_time() - busy)
        assert sum(out.event.weight for out in outcome.outgoing) == HUBS
    told = f"smi, alerts of {HUBS} hubs: {min(whole) * 1e3:.1f} ms, of which Python {min(own) * 1e3:.1f} ms"
    sys.stdout.write(f"\n{told}\n")
