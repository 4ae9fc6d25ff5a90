"""What came in and fits nothing known."""

from collections.abc import Sequence
from typing import NamedTuple

from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.columns import columns
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx

UNKNOWN_HUB = "unknown_hub"
NO_EDGE = "no_edge"

_SQL = load_queries("chfw_device_sim.store", "anomaly.sql")


class Anomaly(NamedTuple):
    """One of them; the same one is kept once."""

    what: str
    hub: HubId
    release_id: ReleaseId
    counter: int


async def record(tx: Tx, anomalies: Sequence[Anomaly], now: Instant) -> None:
    """Keep them for a person."""
    if anomalies:
        await tx.execute(_SQL["record_anomalies"], *columns(anomalies), now)
