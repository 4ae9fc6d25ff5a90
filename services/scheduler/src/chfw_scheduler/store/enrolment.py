"""The advisory lock of enrolment in a partition.

Those who open rows from the register share it; the stage that takes in what the inventory tells has it alone. So a
record of the inventory meets a row, or the register is read after it (ADR 0063).
"""

from chfw_common.kernel.ids import ReleaseId
from chfw_common.runtime.advisory import lock_key
from chfw_common.runtime.service import Tx
from chfw_common.topology import HUB_PARTITIONS
from chfw_scheduler.store.releases import SQL

_LOCKS = [lock_key("scheduler", "enrolment", str(part)) for part in range(HUB_PARTITIONS)]


async def own(tx: Tx, part: int) -> list[ReleaseId]:
    """Wait until nobody enrols hubs of the partition, and keep everybody from it until this transaction ends. Gives the
    releases that are known, in the order in which their rows are locked.

    One that is announced during the wait is left out: it reads the register later than what is taken in was told.
    """
    return [ReleaseId(row["release_id"]) for row in await tx.fetch(SQL["own_enrolment"], _LOCKS[part])]


async def share(tx: Tx) -> None:
    """Keep what the inventory tells out of every partition until this transaction ends: it enrols hubs of all."""
    await tx.execute("select pg_advisory_xact_lock_shared(k) from unnest($1::bigint[]) k", _LOCKS)


async def try_share(tx: Tx, part: int) -> bool:
    """The same for one partition, for those who hold rows already: says no instead of waiting."""
    return bool(await tx.fetchval("select pg_try_advisory_xact_lock_shared($1)", _LOCKS[part]))
