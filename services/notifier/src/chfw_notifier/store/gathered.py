"""What Parties are to be told at the end of a quarter of an hour, or of a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from chfw_common.kernel.ids import PartyId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.columns import columns
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx, Work

SQL = load_queries("chfw_notifier.store", "gathered.sql")
_NO_RELEASE = ""
"""Stands for no release, in a column that is part of what is looked for."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a Party is to be told at `due` because of an event about `hubs` hubs of a partition."""

    party: PartyId
    event_id: UUID
    kind: str
    release_id: ReleaseId | None
    part: int
    due: Instant
    payload: dict[str, Any]
    hubs: int


@dataclass(frozen=True, slots=True)
class Due:
    """Whom what is due next concerns."""

    due: Instant
    party: PartyId
    release_id: ReleaseId | None
    kind: str

    @property
    def work(self) -> Work:
        """What it is found by."""
        return {"party": self.party, "release_id": self.release_id or _NO_RELEASE, "kind": self.kind}


async def gather(tx: Tx, heard: Sequence[Heard]) -> None:
    """Keep it until it is due; a repeat of an event is absorbed."""
    if heard:
        rows = (
            (
                one.party, one.event_id, one.kind, one.release_id or _NO_RELEASE, one.part, one.due,
                orjson.dumps(one.payload).decode(), one.hubs,
            )
            for one in heard
        )  # fmt: skip
        await tx.execute(SQL["gather"], *columns(rows))


async def earliest(tx: Tx) -> Due | None:
    """What is due first, if anything is gathered."""
    row = await tx.fetchrow(SQL["earliest"])
    if row is None:
        return None
    return Due(row["due"], row["party"], ReleaseId(row["release_id"]) if row["release_id"] else None, row["kind"])


async def take(tx: Tx, due: Due, limit: int) -> tuple[int, list[dict[str, Any]]]:
    """What was gathered, in the order in which it was heard, about `limit` hubs; and the number of the first of it.

    The Party's feed is locked, so it is told in order.
    """
    rows = await tx.fetch(SQL["take"], due.due, due.party, due.release_id or _NO_RELEASE, due.kind, limit)
    found = sorted((row["id"], row["payload"]) for row in rows)
    return (found[0][0] if found else 0), [orjson.loads(payload) for _, payload in found]


async def drop(tx: Tx, release_id: ReleaseId, kind: str) -> None:
    """Tell nobody any more what was gathered of a kind about a release."""
    await tx.execute(SQL["drop"], release_id, kind)


async def put_off(tx: Tx, work: Work, until: Instant) -> None:
    """Let what was gathered for a Party be due at another time."""
    await tx.execute(SQL["put_off"], work["party"], work["release_id"], work["kind"], until)
