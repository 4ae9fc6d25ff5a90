"""The statuses that applied once to hubs."""

from collections.abc import Sequence
from typing import NamedTuple

from chfw_common.kernel.hubs import DeviceStatus
from chfw_common.kernel.ids import HubId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.columns import columns
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_smi.domain.inventory import FormerStatus

_SQL = load_queries("chfw_smi.store", "status.sql")


RESTORED_TO = DeviceStatus.COMMISSIONED


class Restored(NamedTuple):
    """A hub whose suspension its own word has ended: the version of its row that says so, and when it was the case."""

    hub: HubId
    smi_version: int
    at: Instant


async def restore(tx: Tx, restored: Sequence[Restored]) -> None:
    """End the suspension of hubs that are locked: commissioned again, and the suspension among the former statuses."""
    if restored:
        await tx.execute(_SQL["restore"], *columns(restored), RESTORED_TO)


async def keep(tx: Tx, ended: Sequence[FormerStatus]) -> None:
    """Keep statuses that have ended."""
    if ended:
        await tx.execute(_SQL["keep_statuses"], *columns(ended))


async def find(tx: Tx, hub: HubId) -> list[FormerStatus]:
    """The former statuses of a hub, the oldest first."""
    rows = await tx.fetch(_SQL["find_statuses"], hub)
    return [
        FormerStatus(row["hub"], row["smi_version"], DeviceStatus(row["status"]), row["since"], row["until"])
        for row in rows
    ]
