"""What a chunk costs at each step, told and not judged: figures differ from machine to machine (run with -s)."""

import sys
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from time import perf_counter, process_time
from typing import Any
from uuid import UUID

from chfw_common.events.base import Event
from chfw_common.events.command import CommandItem, CommandKind, HubCommand
from chfw_common.events.distributed import FirmwareDistributed
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.runtime.service import Batch, Received, Tx
from chfw_device_sim.service import network_of
from chfw_device_sim.settings import Settings
from chfw_device_sim.stages import activate, deliver, load, receive_command, receive_distribution
from chfw_device_sim.store import device
from tests.support.settings import nowhere
from tests.support.times import still

T0 = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HUBS = 440
ROUNDS = 7


def batch(event: Event) -> Batch[Any]:
    return Batch("any", 0, (Received(0, UUID(int=0), T0, event),))


async def timed(what: Awaitable[object]) -> tuple[float, float]:
    begun, busy = perf_counter(), process_time()
    await what
    return (perf_counter() - begun) * 1e3, (process_time() - busy) * 1e3


async def test_a_chunk_of_hubs(tx: Tx) -> None:
    network = network_of(Settings(**nowhere()), lambda: T0)
    hubs = [HubId(number) for number in range(HUBS)]
    await load.command(tx, [device.NewDevice(hub, 0, "North", "106C", "M", "1", "OLD") for hub in hubs], still(T0))
    costs: dict[str, list[tuple[float, float]]] = {}
    for number in range(1, ROUNDS + 1):
        now = T0 + number * 30 * DAY
        release, stamp = ReleaseId(f"r{number}"), {"not_before": now, "permit_until": now + DAY, "epoch": 1}
        image = FirmwareDistributed.model_validate(
            {"release_id": release, "firmware": "NEW", "image_hash": release, "hubs": hubs, **stamp}
        )
        items = tuple(CommandItem(hub=hub, counter=number, activate_at=now + 10 * DAY) for hub in hubs)
        arm = HubCommand.model_validate(
            {"release_id": release, "kind": CommandKind.ACTIVATE, "firmware": "NEW", "image_hash": release,
             "items": items, **stamp}
        )  # fmt: skip
        steps: dict[str, Awaitable[object]] = {
            "distribute": receive_distribution.handle(network, tx, batch(image), still(now)),
            "deliver": deliver.tick(network).run(tx, still(now + 9 * DAY)),
            "arm": receive_command.handle(network, tx, batch(arm), still(now)),
            "activate": activate.tick(network).run(tx, still(now + 10 * DAY)),
        }
        for name, step in steps.items():
            costs.setdefault(name, []).append(await timed(step))
    for name, found in costs.items():
        whole, own = min(entry[0] for entry in found), min(entry[1] for entry in found)
        sys.stdout.write(f"\ndevice-sim, {name} {HUBS} hubs: {whole:.1f} ms, of which Python {own:.1f} ms")
