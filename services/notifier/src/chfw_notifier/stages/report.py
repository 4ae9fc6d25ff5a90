"""Report to a Party: its feed, its hubs, and the releases."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson

from chfw_common.kernel.ids import HubId, PartyId, ReleaseId
from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.kernel.roles import SUPPLIER_ROLES
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.service import Tx
from chfw_notifier.domain.shares import places_of
from chfw_notifier.stages.render import notice_document
from chfw_notifier.store import estate, feeds, releases
from chfw_notifier.store.estate import Scope
from chfw_notifier.store.releases import Release

CSV_PAGE = 2_000
"""Hubs of a CSV file that are read at once."""


async def notices(tx: Tx, who: Caller, now: Instant) -> list[dict[str, Any]]:
    """All releases, the newest notice first, as a caller sees them."""
    return [_seen(release, who, now) for release in await releases.find_all(tx)]


async def notice(tx: Tx, release_id: ReleaseId, who: Caller, now: Instant) -> dict[str, Any]:
    """One release as a caller sees it. Raises Problem 404 when there is none."""
    release = await releases.find(tx, release_id)
    if release is None:
        raise Problem(404, "unknown_release", "No such release.")
    return _seen(release, who, now)


def _seen(release: Release, who: Caller, now: Instant) -> dict[str, Any]:
    """A Supplier sees its own places in the pilot, and nobody sees those of another."""
    places = places_of(release.notice.pilot_places, who.party) if who.role in SUPPLIER_ROLES else None
    return {**notice_document(release, now), "pilot_places": places}


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


async def own_hubs(tx: Tx, scope: Scope, *, after: int | None, limit: int) -> tuple[list[dict[str, Any]], int | None]:
    """A Party's own hubs, all (R4-3) or those in a release (R1-4), and the hub to go on from, None at the end."""
    rows = await estate.page(tx, scope, after=None if after is None else HubId(after), limit=limit)
    shown = [{name: row[name] for name in estate.COLUMNS} | {"roles": row["roles"].split()} for row in rows]
    return shown, rows[-1]["position"] if len(rows) == limit else None


async def own_hubs_csv(
    reading: Callable[[], AbstractAsyncContextManager[Tx]], scope: Scope
) -> AsyncGenerator[bytes, None]:
    """The same as CSV, page by page, each in a transaction of its own that has ended before it is handed on.

    A client may read as slowly as it likes; a transaction that waited for it would hold back vacuum everywhere.
    """
    after: HubId | None = None
    more = True
    while more:
        async with reading() as tx:
            lines, after = await estate.csv_page(tx, scope, after=after, limit=CSV_PAGE)
        if lines:
            yield lines
        more = after is not None
