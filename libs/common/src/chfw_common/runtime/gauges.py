"""Gauges read from the truth every few seconds: totals are queries, never counters bumped in handlers."""

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.clock import Clock, machine_now
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.repeats import Repeated
from chfw_common.runtime.service import Service, Tx
from chfw_common.runtime.transient import transient_as_error
from chfw_common.topology import LANES

EVERY = 15.0


async def follow(service: Service, database: Database, clock: Clock, metrics: Metrics) -> None:
    """Read the gauges of the runtime and of the service until cancelled."""
    waits = Repeated()
    while True:
        try:
            async with transient_as_error(), database.transaction() as tx:
                await _read(tx, service, metrics, clock.now())
            waits.over()
        except TransientError as error:
            waits.failed("gauges cannot be read now", action="gauges_wait", error=error)
        await clock.machine_sleep(EVERY)


async def _read(tx: Tx, service: Service, metrics: Metrics, now: Instant) -> None:
    rows = await tx.fetch(
        "select lane, count(*) as n, min(written_at) as oldest from outbox group by lane order by lane"
    )
    waiting = {row["lane"]: row["n"] for row in rows}
    metrics.read("chfw_outbox_rows", [((str(lane),), waiting.get(lane, 0)) for lane in LANES])
    oldest = min((row["oldest"] for row in rows), default=None)
    age = (machine_now() - oldest).total_seconds() if oldest else 0.0
    metrics.read("chfw_outbox_age_seconds", [((), age)])
    parked = await tx.fetch("select topic, count(*) as n from parked_record group by topic order by topic")
    found = {row["topic"]: row["n"] for row in parked}
    metrics.read("chfw_parked_records", [((t.name,), found.get(t.name, 0)) for t in service.consumes])
    metrics.read("chfw_jobs_open", [((), await tx.fetchval("select count(*) from job where state = 'open'"))])
    for gauge in service.gauges:
        metrics.read(gauge.name, await gauge.read(tx, now))
