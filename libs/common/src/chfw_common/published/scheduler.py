"""Readers of `scheduler_published.seen`: where each hub stands in each release, as its Parties see it."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from chfw_common.kernel.ids import HubId, PartyId, ReleaseId
from chfw_common.kernel.instants import Instant

# Each row is looked up by itself: left to join, Postgres may read every row of the release.
_PROPOSED = """
select asked.hub from unnest($4::smallint[], $5::bigint[]) asked(part, hub)
cross join lateral (
    select from scheduler_published.seen l
    where l.release_id = $1 and l.part = asked.part and l.hub = asked.hub
      and $2 in (l.import_party, l.gas_party) and l.proposed_at = $3 offset 0
) found
order by asked.hub
"""


async def proposed(
    tx: "asyncpg.Connection[Any]",
    release_id: ReleaseId,
    party: PartyId,
    at: Instant,
    places: Sequence[tuple[int, HubId]],
) -> set[HubId]:
    """For which of these hubs, each with its partition, this time is proposed at present to this Party."""
    if not places:
        return set()
    parts, hubs = zip(*places, strict=True)
    return {HubId(row["hub"]) for row in await tx.fetch(_PROPOSED, release_id, party, at, parts, hubs)}
