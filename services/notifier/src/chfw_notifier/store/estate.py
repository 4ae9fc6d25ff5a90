"""A Party's own hubs: the inventory's record beside what the ledger says, as pages and as CSV."""

import csv
import io
from dataclasses import dataclass
from typing import Any

from chfw_common.kernel.cells import harmless_rows
from chfw_common.kernel.ids import GREATEST_HUB, LEAST_HUB, HubId, PartyId, ReleaseId, parse_hub_id
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_notifier.domain.offer import OwnHub

SQL = load_queries("chfw_notifier.store", "estate.sql")
COLUMNS = (
    "hub",
    "roles",
    "second_supplier",
    "second_has_instructed",
    "release_id",
    "release_mode",
    "state",
    "activate_at",
    "answer_by",
    "pilot",
    "wave",
    "model",
    "hardware",
    "firmware",
    "region",
)
_FLAGS = frozenset({"second_supplier", "second_has_instructed", "pilot"})


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose hubs: all of a Party, or those in one release."""

    party: PartyId
    release_id: ReleaseId | None = None


async def page(tx: Tx, scope: Scope, *, after: HubId | None, limit: int) -> list[Any]:
    """Own hubs behind one of them, in signed order of ids: the columns, and `position` to go on from."""
    if after == GREATEST_HUB:
        return []
    statement, arguments = _query(scope, LEAST_HUB if after is None else after + 1, limit)
    return list(await tx.fetch(statement, *arguments))


async def csv_page(tx: Tx, scope: Scope, *, after: HubId | None, limit: int) -> tuple[bytes, HubId | None]:
    """Own hubs behind one of them as lines of CSV, and the hub to go on from: None when there are no more.

    The first page has the header.
    """
    if after == GREATEST_HUB:
        return b"", None
    statement, arguments = _query(scope, LEAST_HUB if after is None else after + 1, limit)
    shown = ", ".join(f"{name}::text" if name in _FLAGS else name for name in COLUMNS)
    lines = io.BytesIO()
    await tx.copy_from_query(
        f"select {shown} from ({statement}) own", *arguments, output=lines, format="csv", header=after is None
    )
    # A text may have the end of a line in it, so lines are not counted but read.
    rows = list(csv.reader(io.StringIO(lines.getvalue().decode(), newline="")))
    found = len(rows) - (after is None)
    return harmless_rows(lines.getvalue().decode()).encode(), parse_hub_id(rows[-1][0]) if found == limit else None


async def pilot_candidates(
    tx: Tx, who: Caller, release_id: ReleaseId, *, regions: list[str] | None, models: list[str] | None
) -> list[OwnHub]:
    """What a User ID may choose its pilot from, as far as the inventory, the ledger and the lists say it."""
    rows = await tx.fetch(SQL["pilot_candidates"], who.party, release_id, regions, models, who.user_id)
    return [OwnHub._make(row) for row in rows]


async def pilot_size(tx: Tx, release_id: ReleaseId, party: PartyId) -> int:
    """How many hubs the lists of a Party name for the pilot of a release."""
    return int(await tx.fetchval(SQL["pilot_size"], release_id, party))


def _query(scope: Scope, first: int, limit: int) -> tuple[str, tuple[Any, ...]]:
    if scope.release_id is None:
        return SQL["estate"], (scope.party, first, limit)
    return SQL["eligibility"], (scope.party, first, limit, scope.release_id)
