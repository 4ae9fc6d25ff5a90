"""Gauges read from the truth every few seconds: totals are queries, never counters bumped in handlers."""

import structlog

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.clock import Clock, machine_now
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.service import Service, Tx
from chfw_common.runtime.transient import transient_as_error
from chfw_common.topology import LANES

log = structlog.get_logger()

EVERY = 15.0


async def follow(service: Service, database: Database, clock: Clock, metrics: Metrics) -> None:
    """Read the gauges of the runtime and of the service until cancelled."""
    while True:
        try:
            async with transient_as_error(), database.transaction() as tx:
                await read(tx, service, metrics, clock.now())
        except TransientError as error:
            log.warning("gauges cannot be read now", action="gauges_wait", error=str(error))
        await clock.machine_sleep(EVERY)


async def read(tx: Tx, service: Service, metrics: Metrics, now: Instant) -> None:
    """Set the gauges and alarms of the runtime and of the service to what Postgres says."""
    rows = await tx.fetch(
        "select lane, count(*) as n, min(written_at) as oldest from outbox group by lane order by lane"
    )
    waiting = {row["lane"]: row["n"] for row in rows}
    metrics.read("chfw_outbox_rows", [((str(lane),), waiting.get(lane, 0)) for lane in LANES])
    oldest = min((row["oldest"] for row in rows), default=None)
    age = (machine_now() - oldest).total_seconds() if oldest else 0.0
    metrics.read("chfw_outbox_age_seconds", [((), age)])
    held = dict(await tx.fetch("select lane, count(*) from held_partition group by lane"))
    metrics.read("chfw_held_partitions", [((str(lane),), held.get(lane, 0)) for lane in LANES])
    metrics.alarm("held_partition", on=bool(held))
    unsent = await tx.fetchval("select count(*) from parked_event")
    metrics.read("chfw_parked_events", [((), unsent)])
    metrics.alarm("parked_event", on=unsent > 0)
    aside = await tx.fetch("select tick, count(*) as n from set_aside group by tick order by tick")
    metrics.read("chfw_set_aside", [((row["tick"],), row["n"]) for row in aside])
    metrics.alarm("set_aside", on=bool(aside))
    parked = await tx.fetch("select topic, count(*) as n from parked_record group by topic order by topic")
    found = {row["topic"]: row["n"] for row in parked}
    metrics.read("chfw_parked_records", [((t.name,), found.get(t.name, 0)) for t in service.consumes])
    metrics.read("chfw_jobs_open", [((), await tx.fetchval("select count(*) from job where state = 'open'"))])
    for gauge in service.gauges:
        metrics.read(gauge.name, await gauge.read(tx, now))
