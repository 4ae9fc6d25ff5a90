"""The devices as such: bulk load and the pages that reconciliation reads."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from chfw_common.kernel.ids import GREATEST_HUB, LEAST_HUB, HubId
from chfw_common.runtime.columns import columns
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx

_SQL = load_queries("chfw_device_sim.store", "device.sql")


class NewDevice(NamedTuple):
    """A device as it leaves the factory."""

    hub: HubId
    part: int
    region: str
    manufacturer: str
    model: str
    hardware: str
    firmware: str


async def load(tx: Tx, devices: Sequence[NewDevice]) -> int:
    """Write devices in order of their ids; says how many were new."""
    status: str = await tx.execute(_SQL["load_devices"], *columns(sorted(devices)))
    return int(status.rpartition(" ")[2])


async def page(tx: Tx, after: HubId | None, limit: int) -> list[dict[str, Any]]:
    """Devices behind an id, in signed order."""
    if after == GREATEST_HUB:
        return []
    return [dict(row) for row in await tx.fetch(_SQL["page_devices"], LEAST_HUB if after is None else after + 1, limit)]
