"""Report on a request to its own Party: how far its verdicts are, and each of them."""

from typing import Any
from uuid import UUID

from chfw_common.kernel.ids import HubId, PartyId
from chfw_common.kernel.instants import format_instant
from chfw_common.runtime.service import Tx
from chfw_instruction.store import requests
from chfw_instruction.store.requests import Known

__all__ = ["Known", "find", "render", "state", "verdicts"]


async def find(tx: Tx, request_id: UUID, party: PartyId) -> Known | None:
    """A request of the Party itself; that of another is not there."""
    return await requests.find_own(tx, request_id, party)


async def verdicts(
    tx: Tx, request_id: UUID, *, after: int | None, limit: int
) -> list[tuple[int, str, HubId | None, str]]:
    """(position, what was written, hub, verdict) in listed order."""
    return await requests.load_verdicts(tx, request_id, after=-1 if after is None else after, limit=limit)


def state(known: Known) -> str:
    """Whether every entry has its verdict."""
    return "judging" if known.done_at is None else "done"


def render(known: Known) -> dict[str, Any]:
    """A request as its Party sees it."""
    asked = known.asked
    return {
        "id": str(known.id),
        "release_id": known.release_id,
        "state": state(known),
        "kind": known.kind.value,
        "group": known.group.value,
        "activate_at": None if asked.activate_at is None else format_instant(asked.activate_at),
        "received_at": format_instant(asked.received_at),
        "party_seq": known.party_seq,
        "entries": known.entries,
        "answered": known.answered,
        "verdicts": known.counts,
        "done_at": None if known.done_at is None else format_instant(known.done_at),
        "results": f"/v1/instructions/{known.id}/results",
    }
