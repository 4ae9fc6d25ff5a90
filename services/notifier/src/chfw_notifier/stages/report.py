"""Report to a Party: its feed, its hubs in a release, and the releases."""

from typing import Any

import orjson

from chfw_common.kernel.ids import HubId, PartyId, ReleaseId, hub_eui64
from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.kernel.roles import Role
from chfw_common.published import scheduler
from chfw_common.published.scheduler import LedgerRow
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.service import Tx
from chfw_notifier.stages.render import notice_document
from chfw_notifier.store import feeds, releases


async def notices(tx: Tx, now: Instant) -> list[dict[str, Any]]:
    """All releases, the newest notice first."""
    return [notice_document(release, now) for release in await releases.find_all(tx)]


async def notice(tx: Tx, release_id: ReleaseId, now: Instant) -> dict[str, Any]:
    """One release. Raises Problem 404 when there is none."""
    release = await releases.find(tx, release_id)
    if release is None:
        raise Problem(404, "unknown_release", "No such release.")
    return notice_document(release, now)


async def feed(tx: Tx, party: PartyId, *, after: int, limit: int) -> tuple[list[dict[str, Any]], int]:
    """What a Party was told after a number of its feed, and the number to go on from."""
    rows = await feeds.load(tx, party, after=after, limit=limit)
    shown = [
        {
            "seq": row["seq"],
            "kind": row["kind"],
            "release_id": row["release_id"],
            "at": format_instant(row["at"]),
            "data": orjson.loads(row["payload"]),
        }
        for row in rows
    ]
    return shown, rows[-1]["seq"] if rows else after


async def eligible(
    tx: Tx, release_id: ReleaseId, party: PartyId, *, after: int | None, limit: int
) -> tuple[list[dict[str, Any]], int | None]:
    """A Party's own hubs in a release (R1-4), and the hub to go on from, None at the end."""
    start = None if after is None else HubId(after)
    rows = await scheduler.hubs_of_party(tx, release_id, party, after=start, limit=limit)
    return [_own(row, party) for row in rows], rows[-1].hub if len(rows) == limit else None


def _own(row: LedgerRow, party: PartyId) -> dict[str, Any]:
    """A hub as its Party sees it: built field by field, the other Party only as the fact that there is one."""
    by_role = ((Role.IMPORT_SUPPLIER, row.import_party), (Role.GAS_SUPPLIER, row.gas_party))
    return {
        "hub": hub_eui64(row.hub),
        "roles": [role.value for role, holder in by_role if holder == party],
        "second_supplier": any(holder not in {None, party} for _, holder in by_role),
        "state": row.state.value,
        "activate_at": None if row.activate_at is None else format_instant(row.activate_at),
        "pilot": row.pilot,
        "firmware": row.smi_firmware,
    }
