"""Sign where the stream of a service ends: every so many records, and at the latest so long after a record."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.audit.checkpoints import Checkpoint, CheckpointFile
from chfw_common.runtime.audit.log import read_head, read_records
from chfw_common.runtime.audit.record import Head
from chfw_common.runtime.audit.verify import Fault, follow_on
from chfw_common.runtime.clock import Clock, machine_now
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.repeats import Repeated
from chfw_common.runtime.transient import transient_as_error

LOOK_EVERY = 1.0
"""Seconds between two looks at the end of the stream."""


@dataclass(frozen=True, slots=True)
class Pace:
    """When the next checkpoint is due."""

    records: int
    interval: timedelta

    def due(self, head: Head, last: Checkpoint | None, now: Instant) -> bool:
        """Whether the stream ends elsewhere than at the last checkpoint, and it is time to sign that."""
        if last is None:
            return head.seq > 0
        soon = last.seq < head.seq < last.seq + self.records
        return head.seq != last.seq and (not soon or now - last.at >= self.interval)


async def follow_stream(database: Database, file: CheckpointFile, pace: Pace, clock: Clock, metrics: Metrics) -> None:
    """Make checkpoints for ever. Signs nothing that does not follow from what was signed last; that is an alarm."""
    waits, broken = Repeated(), Repeated()
    while True:
        try:
            fault = await sign_what_is_new(database, file, pace)
            waits.over()
            metrics.alarm("audit", on=fault is not None)
            if fault is None:
                broken.over()
            else:
                broken.failed("the audit log is not what was signed: no checkpoint", action="audit_broken", error=fault)
        except (TransientError, OSError) as error:
            waits.failed("no checkpoint of the audit log can be made now", action="audit_waits", error=error)
        await clock.machine_sleep(LOOK_EVERY)


async def sign_what_is_new(database: Database, file: CheckpointFile, pace: Pace) -> Fault | None:
    """Make a checkpoint when one is due. Gives the fault for which none can be made."""
    last, now = file.last, machine_now()
    async with transient_as_error(), database.transaction() as tx:
        head = await read_head(tx, file.stream)
        if not pace.due(head, last, now):
            return None
        # The record of the last checkpoint too: what follows must follow from it.
        known = await read_records(tx, file.stream, after=last.seq - 1 if last else 0)
    fault = follow_on(file.stream, last, [record for record in known if record.seq <= head.seq], head)
    if fault is None:
        await asyncio.to_thread(file.append, head, now)
    return fault
