"""Requests, their content in chunks, and one verdict row per entry."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from chfw_common.events.waves import waves_from_json, waves_to_json
from chfw_common.kernel.ids import HubId, PartyId, ReleaseId, UserId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import AnswerKind, Group
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_instruction.domain.entries import Chunk
from chfw_instruction.domain.quota import Quota, Used, flowed_off
from chfw_instruction.domain.terms import Terms
from chfw_instruction.domain.verdict import Asked, Verdict
from chfw_instruction.store.releases import image_from_json, image_to_json

SQL = load_queries("chfw_instruction.store", "requests.sql")
# Under row security Postgres plans a statement anew whenever another role runs it: so each role has a text of its own.
_USED_AS_PARTY = SQL["used"] + "\n-- as the Party"
JUDGE = "judge"
"""The kind of the job that judges a request; its name is the id of the request."""
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
    entries: int
    header: Sequence[str] | None
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
    header: list[str] | None
    done_at: Instant | None
    asked: Asked


async def lock_party(tx: Tx, party: PartyId) -> int:
    """The last number of the Party's line, locked until the transaction ends."""
    return int(await tx.fetchval(SQL["lock_party"], party))


async def find_by_key(tx: Tx, party: PartyId, key: str) -> Any | None:
    """The request (id, digest, entries, received_at) a Party made under a key."""
    return await tx.fetchrow(SQL["by_key"], party, key)


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant, of the roll-out and of the machine."""

    now: Instant
    machine: Instant


async def add(tx: Tx, accepted: Accepted, chunks: Sequence[Chunk], standing: float, machine: Instant) -> None:
    """Write a request and its whole content, and move the Party's line on.

    `standing`: what stood of its entries before, at this instant of the machine.
    """
    terms = accepted.terms
    day = accepted.received_at.astimezone(UTC).date()
    await tx.execute(
        SQL["move_party"], accepted.party, accepted.party_seq, day, accepted.entries,
        standing + accepted.entries, machine,
    )  # fmt: skip
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
        accepted.entries,
        accepted.header,
        image_to_json(terms.image),
        terms.automatic_date,
        waves_to_json(terms.waves),
        terms.pilot_opens,
        terms.places_of(accepted.party),
    )
    await tx.executemany(
        SQL["add_chunk"],
        # One chunk at a time is unpacked.
        (
            (accepted.id, accepted.party, n, chunk.packed, chunk.hubs, sorted(chunk.duplicates), chunk.records)
            for n, chunk in enumerate(chunks)
        ),
    )


async def lock(tx: Tx, request_id: UUID) -> Known:
    """A request to be judged on, locked."""
    return _known(await tx.fetchrow(SQL["lock_request"], request_id))


async def find_own(tx: Tx, request_id: UUID, party: PartyId) -> Known | None:
    """A request of the Party itself."""
    row = await tx.fetchrow(SQL["own_request"], request_id, party)
    return None if row is None else _known(row)


async def load_chunk(tx: Tx, request_id: UUID, chunk: int) -> tuple[list[HubId | None], frozenset[int]]:
    """The hubs of a part of the content, and which places are duplicates."""
    row = await tx.fetchrow(SQL["chunk"], request_id, chunk)
    return row["hub"], frozenset(row["duplicates"])


async def add_verdicts(
    tx: Tx, known: Known, chunk: int, verdicts: Sequence[Verdict], counts: dict[str, int], now: Instant
) -> None:
    """Write the verdicts of a part and take them into the counts."""
    answered = known.answered + len(verdicts)
    await tx.execute(SQL["add_verdicts"], known.id, chunk, verdicts)
    await tx.execute(SQL["count_verdicts"], known.id, answered, counts, now if answered == known.entries else None)


async def load_judged(tx: Tx, request_id: UUID, chunk: int) -> Any | None:
    """A part with its verdicts (raw, hub, verdict, record: one list each), or None while it has none."""
    return await tx.fetchrow(SQL["judged_chunk"], request_id, chunk)


async def count_waiting(tx: Tx, known: Known) -> int:
    """Entries without a verdict, of this request and of those that its Party made before."""
    return int(await tx.fetchval(SQL["waiting_before"], known.party, known.party_seq))


async def used(
    tx: Tx, party: PartyId, key: str, quota: Quota, moment: Moment, *, accepting: bool = False
) -> tuple[Used, bool]:
    """What a Party uses of its quota, and whether it has made a request under this key.

    `accepting`: asked as the Party, in the transaction of the acceptance.
    """
    statement = _USED_AS_PARTY if accepting else SQL["used"]
    row = await tx.fetchrow(statement, party, moment.now.astimezone(UTC).date(), key, JUDGE)
    since = row["standing_at"] or moment.machine
    standing = flowed_off(row["standing"], quota.entries_per_minute, since, moment.machine)
    return Used(row["open_requests"], row["open_entries"], standing, row["entries_today"]), row["known"]


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
        header=row["header"],
        done_at=row["done_at"],
        asked=Asked(
            party=row["party"],
            user_id=row["user_id"],
            image=image_from_json(row["image"]),
            automatic_date=row["automatic_date"],
            waves=waves_from_json(row["waves"]),
            received_at=row["received_at"],
            activate_at=row["activate_at"],
            kind=AnswerKind(row["kind"]),
            group=Group(row["group"]),
            pilot_opens=row["pilot_opens"],
            pilot_places=row["pilot_places"],
        ),
    )
