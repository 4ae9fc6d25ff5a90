"""Requests, their content in chunks, and one verdict row per entry."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from chfw_common.kernel.ids import HubId, PartyId, ReleaseId, UserId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import AnswerKind, Group
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_instruction.domain.entries import Entry
from chfw_instruction.domain.terms import Terms
from chfw_instruction.domain.verdict import Asked, Verdict
from chfw_instruction.store.releases import image_from_json, image_to_json

SQL = load_queries("chfw_instruction.store", "requests.sql")
CHUNK_ENTRIES = 10_000
"""Entries of one stored chunk, which one step of the job judges in one transaction."""
_NAMESPACE = uuid5(NAMESPACE_URL, "chfw/instruction")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request as it is written down on acceptance."""

    party: PartyId
    key: str
    digest: bytes
    user_id: UserId
    party_seq: int
    kind: AnswerKind
    group: Group
    activate_at: Instant | None
    received_at: Instant
    terms: Terms

    @property
    def id(self) -> UUID:
        """The id of the request: the same whenever the same Party uses the same key."""
        return uuid5(_NAMESPACE, f"{self.party}|{self.key}")


@dataclass(frozen=True, slots=True)
class Known:
    """An accepted request as it is read back."""

    id: UUID
    party: PartyId
    user_id: UserId
    party_seq: int
    release_id: ReleaseId
    kind: AnswerKind
    group: Group
    entries: int
    answered: int
    counts: dict[str, int]
    done_at: Instant | None
    asked: Asked


async def lock_party(tx: Tx, party: PartyId) -> int:
    """The last number of the Party's line, locked until the transaction ends."""
    return int(await tx.fetchval(SQL["lock_party"], party))


async def find_by_key(tx: Tx, party: PartyId, key: str) -> Any | None:
    """The request (id, digest, entries, received_at) a Party made under a key."""
    return await tx.fetchrow(SQL["by_key"], party, key)


async def add(tx: Tx, accepted: Accepted, entries: Sequence[Entry]) -> None:
    """Write a request and its whole content, and move the Party's line on."""
    terms = accepted.terms
    await tx.execute(SQL["move_party"], accepted.party, accepted.party_seq)
    await tx.execute(
        SQL["add_request"],
        accepted.id,
        accepted.party,
        accepted.key,
        accepted.digest,
        accepted.user_id,
        accepted.party_seq,
        terms.release_id,
        accepted.kind,
        accepted.group,
        accepted.activate_at,
        accepted.received_at,
        len(entries),
        image_to_json(terms.image),
        terms.automatic_date,
    )
    chunks = [entries[i : i + CHUNK_ENTRIES] for i in range(0, len(entries), CHUNK_ENTRIES)]
    await tx.copy_records_to_table(
        "request_chunk",
        columns=["request_id", "chunk", "raw", "hub", "duplicate"],
        records=[
            (accepted.id, number, [e.raw for e in chunk], [e.hub for e in chunk], [e.duplicate for e in chunk])
            for number, chunk in enumerate(chunks)
        ],
    )


async def lock(tx: Tx, request_id: UUID) -> Known:
    """A request, locked. Raises LookupError when there is none: a job without its request cannot be."""
    row = await tx.fetchrow(SQL["lock_request"], request_id)
    if row is None:
        raise LookupError(f"request {request_id} is not here")
    return _known(row)


async def find_own(tx: Tx, request_id: UUID, party: PartyId) -> Known | None:
    """A request of the Party itself; that of another is not there."""
    row = await tx.fetchrow(SQL["own_request"], request_id, party)
    return _known(row) if row else None


async def load_chunk(tx: Tx, request_id: UUID, chunk: int) -> list[Entry]:
    """One part of the content; empty beyond the last."""
    row = await tx.fetchrow(SQL["chunk"], request_id, chunk)
    if row is None:
        return []
    columns = zip(row["raw"], row["hub"], row["duplicate"], strict=True)
    return [Entry(raw, hub, duplicate=duplicate) for raw, hub, duplicate in columns]


async def add_verdicts(
    tx: Tx, known: Known, judged: Sequence[tuple[Entry, Verdict]], counts: dict[str, int], now: Instant
) -> None:
    """Append the verdicts of the next entries and take them into the counts."""
    answered = known.answered + len(judged)
    await tx.copy_records_to_table(
        "verdict",
        columns=["request_id", "pos", "raw", "hub", "verdict"],
        records=(
            (known.id, pos, entry.raw, entry.hub, verdict.value)
            for pos, (entry, verdict) in enumerate(judged, start=known.answered)
        ),
    )
    await tx.execute(SQL["count_verdicts"], known.id, answered, counts, now if answered == known.entries else None)


async def load_verdicts(
    tx: Tx, request_id: UUID, *, after: int, limit: int
) -> list[tuple[int, str, HubId | None, str]]:
    """(position, what was written, hub, verdict) in listed order."""
    rows = await tx.fetch(SQL["verdicts"], request_id, after, limit)
    return [(row["pos"], row["raw"], row["hub"], row["verdict"]) for row in rows]


def _known(row: Any) -> Known:
    return Known(
        id=row["id"],
        party=row["party"],
        user_id=row["user_id"],
        party_seq=row["party_seq"],
        release_id=row["release_id"],
        kind=AnswerKind(row["kind"]),
        group=Group(row["group"]),
        entries=row["entries"],
        answered=row["answered"],
        counts=row["counts"],
        done_at=row["done_at"],
        asked=Asked(
            party=row["party"],
            user_id=row["user_id"],
            image=image_from_json(row["image"]),
            automatic_date=row["automatic_date"],
            received_at=row["received_at"],
            activate_at=row["activate_at"],
        ),
    )
