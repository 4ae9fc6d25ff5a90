"""The pilot of a release, as the accepted lists fill it."""

from collections.abc import Sequence

from chfw_common.kernel.ids import HubId, PartyId, ReleaseId
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx

SQL = load_queries("chfw_instruction.store", "pilot.sql")


async def lock(tx: Tx, release_id: ReleaseId, party: PartyId, hubs: Sequence[HubId]) -> tuple[set[HubId], int]:
    """Which of these hubs a Party's lists name, and how many in all; nobody changes it until the transaction ends."""
    await tx.execute(SQL["lock_pilot"], release_id)
    members = await tx.fetch(SQL["pilot_members"], release_id, hubs, party)
    return {row["hub"] for row in members}, int(await tx.fetchval(SQL["pilot_size"], release_id, party))


async def named_by_others(tx: Tx, release_id: ReleaseId, party: PartyId, hubs: Sequence[HubId]) -> set[HubId]:
    """Which of these hubs are in the pilot by the list of another Party: they stay in it whatever this one says."""
    return {row["hub"] for row in await tx.fetch(SQL["pilot_of_others"], release_id, hubs, party)}


async def enter(tx: Tx, release_id: ReleaseId, party: PartyId, hubs: Sequence[HubId]) -> None:
    """A Party's list names these hubs."""
    await tx.execute(SQL["add_pilot"], release_id, hubs, party)


async def leave(tx: Tx, release_id: ReleaseId, party: PartyId, hubs: Sequence[HubId]) -> None:
    """A later answer of the Party takes the place of its list for these hubs."""
    await tx.execute(SQL["leave_pilot"], release_id, hubs, party)
