"""Report on a request to its own Party: how far its verdicts are, and each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from chfw_common.kernel.ids import HubId, PartyId
from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.runtime.service import Tx
from chfw_instruction.domain.entries import CHUNK_ENTRIES
from chfw_instruction.domain.quota import shown_done, wait
from chfw_instruction.store import requests
from chfw_instruction.store.requests import Known

__all__ = ["Judged", "Known", "find", "judged", "progress", "render", "state", "verdicts"]


@dataclass(frozen=True, slots=True)
class Judged:
    """Entries from `begins` on with their verdicts; `records` are their rows in the file they came in."""

    begins: int
    raw: Sequence[str]
    hubs: Sequence[HubId | None]
    verdicts: Sequence[str]
    records: Sequence[str] | None


async def find(tx: Tx, request_id: UUID, party: PartyId) -> Known | None:
    """A request of the Party itself; that of another is not there."""
    return await requests.find_own(tx, request_id, party)


async def judged(tx: Tx, request_id: UUID, chunk: int) -> Judged | None:
    """One stored part, or None when it is not there or not judged yet."""
    row = await requests.load_judged(tx, request_id, chunk)
    return None if row is None else Judged(chunk * CHUNK_ENTRIES, row["raw"], row["hub"], row["verdict"], row["record"])


async def verdicts(
    tx: Tx, request_id: UUID, *, after: int | None, limit: int
) -> list[tuple[int, str, HubId | None, str]]:
    """(position, what was written, hub, verdict) in listed order, of what is judged, at most `limit`."""
    start = 0 if after is None else max(after + 1, 0)
    found: list[tuple[int, str, HubId | None, str]] = []
    while len(found) < limit:
        position = start + len(found)
        if position >= 1 << 31:
            break
        part = await judged(tx, request_id, position // CHUNK_ENTRIES)
        first = position % CHUNK_ENTRIES
        if part is None or first >= len(part.raw):
            break
        cut = slice(first, first + limit - len(found))
        rows = zip(part.raw[cut], part.hubs[cut], part.verdicts[cut], strict=True)
        found += [(n, raw, hub, said) for n, (raw, hub, said) in enumerate(rows, start=position)]
    return found


def state(known: Known) -> str:
    """Whether every entry has its verdict."""
    return "judging" if known.done_at is None else "done"


async def progress(tx: Tx, known: Known, now: Instant) -> tuple[dict[str, Any], int | None]:
    """A request as its Party sees it, and while verdicts are missing, in how many seconds to look again.

    Only what the Party itself has sent counts: the rest is nobody's business, and Parties take turns.
    """
    if known.done_at is not None:
        return render(known, None), None
    seconds = wait(await requests.count_waiting(tx, known))
    return render(known, now + timedelta(seconds=seconds)), seconds


def render(known: Known, expected_by: Instant | None) -> dict[str, Any]:
    """A request as its Party sees it."""
    asked = known.asked
    return {
        "request_id": str(known.id),
        "release_id": known.release_id,
        "state": state(known),
        "kind": known.kind.value,
        "group": known.group.value,
        "activate_at": _shown(asked.activate_at),
        "received_at": format_instant(asked.received_at),
        "party_seq": known.party_seq,
        "entries": known.entries,
        "answered": known.answered,
        "verdicts": known.counts,
        "expected_by": _shown(expected_by),
        "done_at": None if known.done_at is None else format_instant(shown_done(asked.received_at, known.done_at)),
        "results": f"/v1/instructions/{known.id}/results",
    }


def _shown(at: Instant | None) -> str | None:
    return None if at is None else format_instant(at)
