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
    """Read the gauges of the runtime and of the service until cancelled. One that cannot be read ends nothing."""
    waits, alarms = Repeated(), Repeated()
    while True:
        try:
            async with transient_as_error(), database.transaction() as tx:
                await read_all(tx, service, metrics, clock.now(), alarms)
            waits.over()
        except TransientError as error:
            waits.failed("gauges cannot be read now", action="gauges_wait", error=error)
        except Exception as error:  # noqa: BLE001 - what is only shown must not end the process that does the work
            waits.failed("gauges cannot be read", action="gauges_fail", error=repr(error))
        await clock.machine_sleep(EVERY)


async def read_all(tx: Tx, service: Service, metrics: Metrics, now: Instant, alarms: Repeated) -> None:
    """Read every gauge once, and raise or clear the alarms that hang on them; `alarms` counts their lines."""
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
    broken = await tx.fetch("select topic, count(*) as n from out_of_line group by topic order by topic")
    metrics.read("chfw_out_of_line", [((row["topic"],), row["n"]) for row in broken])
    metrics.alarm("out_of_line", on=bool(broken))
    metrics.read("chfw_jobs_open", [((), await tx.fetchval("select count(*) from job where state = 'open'"))])
    raised = False
    for gauge in service.gauges:
        series = await gauge.read(tx, now)
        metrics.read(gauge.name, series)
        if gauge.alarm is not None:
            above = [labels for labels, value in series if value > gauge.limit(labels)]
            metrics.alarm(gauge.alarm, on=bool(above))
            if above:
                raised = True
                alarms.failed("a value is above its limit", action="alarm", error=above, kind=gauge.alarm)
    if not raised:
        alarms.over()
