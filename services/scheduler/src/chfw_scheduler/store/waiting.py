"""Instructions that wait until the notice of their release comes."""

from collections.abc import Sequence

from chfw_common.events.instruction import InstructionReceived
from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx

SQL = load_queries("chfw_scheduler.store", "waiting.sql")


async def keep(
    tx: Tx, release_id: ReleaseId, part: int, events: Sequence[InstructionReceived], kept_at: Instant
) -> None:
    """Keep instructions for hubs of a partition; `kept_at` is machine time."""
    payloads = [event.model_dump_json().encode() for event in events]
    await tx.execute(SQL["keep"], release_id, part, payloads, kept_at)


async def any_for(tx: Tx, release_id: ReleaseId) -> bool:
    """Whether instructions wait for a release."""
    return bool(await tx.fetchval(SQL["any_for"], release_id))


async def take(tx: Tx, release_id: ReleaseId) -> tuple[int, InstructionReceived] | None:
    """Take the next one out, with the partition of its hubs; None when none waits."""
    row = await tx.fetchrow(SQL["take"], release_id)
    return None if row is None else (row["part"], InstructionReceived.model_validate_json(row["payload"]))


async def oldest(tx: Tx) -> list[tuple[ReleaseId, Instant]]:
    """The releases that are waited for, and since when (machine time)."""
    return [(ReleaseId(row["release_id"]), row["since"]) for row in await tx.fetch(SQL["oldest"])]
