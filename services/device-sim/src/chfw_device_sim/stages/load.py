"""Load: devices leave the factory."""

from collections.abc import Sequence
from dataclasses import dataclass

from chfw_common.runtime.digests import digest_of_rows
from chfw_common.runtime.service import Answered, Change, Now, Tx
from chfw_device_sim.store import device


@dataclass(frozen=True, slots=True)
class LoadAnswer:
    """What a load did, counted in devices."""

    new: int
    known: int


async def command(tx: Tx, devices: Sequence[device.NewDevice], _: Now) -> Answered[LoadAnswer]:
    """Write devices that are new. A known one is its own truth: a load does not touch it."""
    new = await device.load(tx, devices)
    change = Change("load", "devices", None, {"new": new, "devices": len(devices), "digest": digest_of_rows(devices)})
    return Answered(LoadAnswer(new, len(devices) - new), "device-sim|load", change if new else None)
