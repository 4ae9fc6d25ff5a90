"""What was gathered for a Party becomes rows of its feed when a quarter of an hour, or a day, is over.

A row for each event would show which hubs share a cause, and so which share a second Supplier; and how many hubs of
others were in the same event, since that is cut by their number (docs/isolation.md).
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from chfw_common.kernel.ids import HubId, ReleaseId, hub_eui64
from chfw_common.kernel.instants import Instant
from chfw_common.runtime import envelope
from chfw_common.runtime.service import Now, Outgoing, Pieces, Taken, Tick, Tx, due_tick
from chfw_common.topology import HUB_PROGRESSED
from chfw_notifier.domain.gather import in_order, rows_of
from chfw_notifier.domain.view import Group, View
from chfw_notifier.stages.tell import HUBS, PROGRESS
from chfw_notifier.store import feeds, gathered
from chfw_notifier.store.feeds import Told

AT_ONCE = 20_000
"""Hubs that one call tells of, and those of a Party or a partition beyond."""


async def take(tx: Tx, now: Now, limit: int) -> Taken | None:
    """What is due first, of all Parties: a quarter of an hour ends for all at once."""
    due = await gathered.earliest(tx)
    if due is None or due > now():
        return None
    about = await gathered.lock_due(tx, due, hubs=AT_ONCE, limit=limit)

    async def act() -> Sequence[Outgoing]:
        found = await gathered.take(tx, due, about, hubs=AT_ONCE)
        await feeds.append_locked(tx, [told for one in found for told in _told(one, due)])
        return ()

    return Taken([one._asdict() for one in about], act, more=True)


def _told(taken: gathered.Taken, due: Instant) -> list[Told]:
    party, release_id, kind = taken.about
    about = ReleaseId(release_id) if release_id else None
    rows = _rows(kind, taken.payloads)
    return [Told(party, _event_id(taken, n), kind, about, due, row) for n, row in enumerate(rows)]


def _event_id(taken: gathered.Taken, n: int) -> UUID:
    """No event of its own: the number of the first of what was gathered tells it from all others."""
    return envelope.event_id(f"gathered|{taken.first}", HUB_PROGRESSED.name, taken.about.party.encode(), n)


def _rows(kind: str, payloads: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    if kind == HUBS:
        return [{"hubs": hubs} for hubs in in_order(hub for payload in payloads for hub in payload["hubs"])]
    if kind == PROGRESS:
        rows = rows_of(_groups(payload["progress"]) for payload in payloads)
        return [{"firmware": payloads[-1]["firmware"], "progress": [_shown(group) for group in row]} for row in rows]
    # Totals: the last ones say all.
    return list(payloads[-1:])


def _groups(progress: list[tuple[dict[str, Any], list[int]]]) -> list[Group]:
    return [(View(view.items()), [HubId(hub) for hub in hubs]) for view, hubs in progress]


def _shown(group: Group) -> dict[str, Any]:
    view, hubs = group
    return {"hubs": [hub_eui64(hub) for hub in hubs], **dict(view)}


async def next_due(tx: Tx, now: Instant) -> Instant | None:  # noqa: ARG001 - the shape of a tick
    """When there is next something to tell."""
    return await gathered.earliest(tx)


TICK: Tick = due_tick("tell", Pieces(take, gathered.put_off), next_due)
