"""Where hubs stand in releases, as the ledger's events told it."""

from collections.abc import Sequence

from chfw_common.kernel.ids import HubId, PartyId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.columns import columns
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_instruction.domain.standing import StateClass, Told, showing

SQL = load_queries("chfw_instruction.store", "standings.sql")


async def keep(tx: Tx, release_id: ReleaseId, told: Sequence[Told], topic: str, partition: int) -> None:
    """Keep what one partition told of hubs of a release, each once, unless something newer is known."""
    if not told:
        return
    # Hubs of a request were shown the same: it is said once.
    numbers = {shown: n for n, shown in enumerate(sorted({one.shown for one in told if one.shown}))}
    rows = ((one.hub, one.version, one.state, one.moved, numbers.get(one.shown)) for one in told)
    await tx.execute(SQL["keep"], release_id, *columns(rows), list(numbers), topic, partition)


async def of_hubs(tx: Tx, hubs: Sequence[HubId]) -> dict[HubId, list[tuple[ReleaseId, StateClass]]]:
    """The releases that hold, have armed or have finished these hubs, less those that are stopped or revoked."""
    found: dict[HubId, list[tuple[ReleaseId, StateClass]]] = {}
    for hub, release_id, state in await tx.fetch(SQL["of_hubs"], hubs):
        found.setdefault(hub, []).append((release_id, StateClass(state)))
    return found


async def shown_to(
    tx: Tx, release_id: ReleaseId, party: PartyId, proposed_at: Instant, hubs: Sequence[HubId]
) -> set[HubId]:
    """For which of these hubs the Party was shown this time as the proposed one."""
    rows = await tx.fetch(SQL["shown_to"], release_id, hubs, showing(party, proposed_at))
    return {HubId(row["hub"]) for row in rows}
