"""What was gathered for a Party becomes rows of its feed when a quarter of an hour, or a day, is over.

A row for each event would show which hubs share a cause, and so which share a second Supplier; and how many hubs of
others were in the same event, since that is cut by their number (docs/isolation.md).
"""

from collections.abc import Sequence
from typing import Any

from chfw_common.kernel.ids import HubId, hub_eui64
from chfw_common.kernel.instants import Instant
from chfw_common.runtime import envelope
from chfw_common.runtime.service import Now, Outgoing, Pieces, Taken, Tick, Tx, due_tick
from chfw_common.topology import HUB_PROGRESSED
from chfw_notifier.domain.gather import in_order, rows_of
from chfw_notifier.domain.view import Group, View
from chfw_notifier.stages.tell import HUBS, PROGRESS
from chfw_notifier.store import feeds, gathered
from chfw_notifier.store.feeds import Told
from chfw_notifier.store.gathered import Due

AT_ONCE = 20_000
"""Hubs that one call tells of, and those of a partition beyond."""


async def take(tx: Tx, now: Now, limit: int) -> Taken | None:  # noqa: ARG001 - one Party, release and kind at a time
    """What is due first, of one Party, release and kind."""
    found = await gathered.earliest(tx)
    if found is None or found.due > now():
        return None
    due = found
    await feeds.lock_parties(tx, [due.party])

    async def act() -> Sequence[Outgoing]:
        first, payloads = await gathered.take(tx, due, AT_ONCE)
        rows = _rows(due, payloads)
        told = [
            Told(due.party, _event_id(due, first, n), due.kind, due.release_id, due.due, row)
            for n, row in enumerate(rows)
        ]
        await feeds.append_locked(tx, told)
        return ()

    return Taken([due.work], act, more=True)


def _event_id(due: Due, first: int, n: int) -> Any:
    """No event of its own: the number of the first of what was gathered tells it from all others."""
    return envelope.event_id(f"gathered|{first}", HUB_PROGRESSED.name, due.party.encode(), n)


def _rows(due: Due, payloads: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    if due.kind == HUBS:
        return [{"hubs": hubs} for hubs in in_order(hub for payload in payloads for hub in payload["hubs"])]
    if due.kind == PROGRESS:
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
    found = await gathered.earliest(tx)
    return None if found is None else found.due


TICK: Tick = due_tick("tell", Pieces(take, gathered.put_off), next_due, limit=1)
