"""Feeds: what each Party was told, numbered per Party without gaps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from chfw_common.kernel.coarse import quarter_of
from chfw_common.kernel.ids import HubId, PartyId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.advisory import lock_key
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx

SQL = load_queries("chfw_notifier.store", "feeds.sql")
PAGE_BYTES = 4 * 1024 * 1024
_FAN_OUT = lock_key("notifier", "fan-out", "")


@dataclass(frozen=True, slots=True)
class Told:
    """One thing a Party is told. `event_id` names the fact; a Party is told a fact once, and never shown its id."""

    party: PartyId
    event_id: UUID
    kind: str
    release_id: ReleaseId | None
    at: Instant
    payload: dict[str, Any]


async def lock_fan_out(tx: Tx) -> None:
    """Let nobody join, and nobody else tell everybody, until the transaction ends."""
    await tx.execute(SQL["lock_fan_out"], _FAN_OUT)


async def unknown_parties(tx: Tx, parties: Sequence[PartyId]) -> list[PartyId]:
    """Which of these Parties were never seen, sorted."""
    known = {row["party"] for row in await tx.fetch(SQL["known_parties"], parties)}
    return sorted(set(parties) - known)


async def add_parties(tx: Tx, roles: Mapping[PartyId, str]) -> list[PartyId]:
    """Parties with their roles; gives back the new ones, sorted."""
    rows = await tx.fetch(SQL["add_parties"], list(roles.keys()), list(roles.values()))
    return sorted(row["party"] for row in rows)


async def all_parties(tx: Tx) -> list[PartyId]:
    """Everybody, sorted."""
    return [row["party"] for row in await tx.fetch(SQL["all_parties"])]


async def suppliers_among(tx: Tx, parties: Sequence[PartyId]) -> set[PartyId]:
    """Which of these Parties are Suppliers."""
    return {row["party"] for row in await tx.fetch(SQL["suppliers_among"], parties)}


async def lock_parties(tx: Tx, parties: Sequence[PartyId]) -> bool:
    """Lock the feeds of these Parties; False, with nothing locked, when one of them is unknown."""
    return len(await tx.fetch(SQL["lock_parties"], parties)) == len(parties)


async def append(tx: Tx, told: Sequence[Told]) -> None:
    """Append to the feeds in the order given; what a Party was told before is left out. All Parties are known."""
    if told:
        parties = sorted({one.party for one in told})
        if not await lock_parties(tx, parties):
            raise LookupError(f"one of {parties} was never added")
        await append_locked(tx, told)


async def append_locked(tx: Tx, told: Sequence[Told]) -> None:
    """As `append`, where the Parties' feeds are locked already. The time of a row is the quarter of an hour it is in: a
    finer one would show how busy the system is with others."""
    once = list({(one.party, one.event_id): one for one in reversed(told)}.values())[::-1]
    if once:
        await tx.execute(
            SQL["append"],
            [one.party for one in once],
            [one.event_id for one in once],
            [one.kind for one in once],
            [one.release_id for one in once],
            [quarter_of(one.at) for one in once],
            [orjson.dumps(one.payload).decode() for one in once],
        )


async def load(tx: Tx, party: PartyId, *, after: int, limit: int) -> list[Any]:
    """What a Party was told after a number: (seq, kind, release_id, at, payload) in its order; at least one if any.

    A page has at most `limit` of them, and ends with the one that fills `PAGE_BYTES`: each may tell of 500 hubs.
    """
    return list(await tx.fetch(SQL["feed"], party, after, limit, PAGE_BYTES))


async def tell_lapses(
    tx: Tx, release_id: ReleaseId, lapses: Sequence[tuple[HubId, PartyId]]
) -> set[tuple[HubId, PartyId]]:
    """Which of these lapsed instructions are news to their Party; they are noted."""
    if not lapses:
        return set()
    rows = await tx.fetch(SQL["tell_lapses"], release_id, [hub for hub, _ in lapses], [party for _, party in lapses])
    return {(row["hub"], row["party"]) for row in rows}
