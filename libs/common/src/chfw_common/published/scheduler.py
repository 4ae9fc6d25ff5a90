"""What the scheduler publishes: where hubs stand in a release (view `scheduler_published.ledger`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from chfw_common.kernel.ids import HubId, PartyId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import HubState

_HUBS_OF_PARTY = """
select hub, state, reason, import_party, gas_party, activate_at, answer_by, pilot, smi_firmware
from scheduler_published.ledger
where release_id = $1 and (import_party = $2 or gas_party = $2) and ($3::bigint is null or hub > $3)
order by hub
limit $4
"""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One hub in one release. Names both Parties: a reader shows a Party its own part only."""

    hub: HubId
    state: HubState
    reason: str | None
    import_party: PartyId | None
    gas_party: PartyId | None
    activate_at: Instant | None
    answer_by: Instant | None
    pilot: bool
    smi_firmware: str


async def hubs_of_party(
    tx: "asyncpg.Connection[Any]", release_id: ReleaseId, party: PartyId, *, after: HubId | None, limit: int
) -> Sequence[LedgerRow]:
    """The hubs of a release that a Party answers for, by hub, at most `limit` after one of them."""
    rows = await tx.fetch(_HUBS_OF_PARTY, release_id, party, after, limit)
    return [
        LedgerRow(
            hub=HubId(row["hub"]),
            state=HubState(row["state"]),
            reason=row["reason"],
            import_party=row["import_party"],
            gas_party=row["gas_party"],
            activate_at=row["activate_at"],
            answer_by=row["answer_by"],
            pilot=row["pilot"],
            smi_firmware=row["smi_firmware"],
        )
        for row in rows
    ]
