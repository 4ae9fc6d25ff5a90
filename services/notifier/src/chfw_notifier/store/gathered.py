"""What Parties are to be told at the end of a quarter of an hour, or of a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
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


class About(NamedTuple):
    """Whom and what something that was gathered concerns. An empty release: none."""

    party: PartyId
    release_id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What was gathered, in the order in which it was heard, and the number of the first of it."""

    about: About
    first: int
    payloads: Sequence[dict[str, Any]]


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


async def earliest(tx: Tx) -> Instant | None:
    """When something is due first, if anything is gathered."""
    at: Instant | None = await tx.fetchval(SQL["earliest"])
    return at


async def lock_due(tx: Tx, due: Instant, *, hubs: int, limit: int) -> list[About]:
    """Whom and what is due at an instant, about so many hubs, at most `limit`; the feeds of the Parties are locked."""
    await tx.execute(SQL["lock_due"], due)
    return [About(*row) for row in await tx.fetch(SQL["due"], due, hubs, limit)]


async def take(tx: Tx, due: Instant, about: Sequence[About], *, hubs: int) -> list[Taken]:
    """What was gathered about each, about so many hubs of it."""
    rows = await tx.fetch(SQL["take"], due, *columns(about), hubs)
    found: dict[About, list[tuple[int, str]]] = {}
    for row in rows:
        found.setdefault(About(row["party"], row["release_id"], row["kind"]), []).append((row["id"], row["payload"]))
    return [
        Taken(one, min(heard)[0], [orjson.loads(payload) for _, payload in sorted(heard)])
        for one, heard in sorted(found.items())
    ]


async def drop(tx: Tx, release_id: ReleaseId, kind: str) -> None:
    """Tell nobody any more what was gathered of a kind about a release."""
    await tx.execute(SQL["drop"], release_id, kind)


async def put_off(tx: Tx, work: Work, until: Instant) -> None:
    """Let what was gathered for a Party be due at another time."""
    await tx.execute(SQL["put_off"], work["party"], work["release_id"], work["kind"], until)
