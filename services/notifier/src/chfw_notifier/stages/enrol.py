"""Know the Parties: whoever an event or a token names is told what is under way from then on."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from chfw_common.kernel.ids import PartyId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import SUPPLIER_ROLES, Role
from chfw_common.runtime import envelope
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.service import Answered, Change, Now, Tx
from chfw_common.topology import RELEASE_NOTIFIED
from chfw_notifier.domain.view import for_supplier
from chfw_notifier.stages.render import notice_document
from chfw_notifier.store import feeds, releases
from chfw_notifier.store.releases import Release

SUPPLIER = "supplier"
DECISION, PROGRESS = "rollout_decision", "rollout_progressed"
"""What everybody is told of a release besides its notice."""


def role_of(role: Role) -> str:
    """What a Party is to the notifier; both Supplier roles are one."""
    return SUPPLIER if role in SUPPLIER_ROLES else role.value


def cause_of(release: Release) -> str:
    """The cause of the event that announces a release at its version."""
    return f"release|{release.notice.release_id}|{release.notice.version}"


def notice_id(release: Release) -> UUID:
    """The id of that event, by which a Party is told of it once."""
    key = release.notice.release_id.encode()
    return envelope.event_id(cause_of(release), RELEASE_NOTIFIED.name, key, 0)


async def ensure(tx: Tx, roles: Mapping[PartyId, str], now: Instant) -> list[PartyId]:
    """Make sure these Parties are known; says which are new.

    New ones get the notices of the open releases, the decision in force on each, and its last totals (R2-5, R5-6).
    """
    missing = await feeds.unknown_parties(tx, list(roles))
    if not missing:
        return []
    await feeds.lock_fan_out(tx)
    added = await feeds.add_parties(tx, {party: roles[party] for party in missing})
    for release in await releases.find_open(tx) if added else []:
        await tell_notice(tx, release, added, now)
        await _tell_where_it_stands(tx, release, {party: roles[party] for party in added}, now)
    return added


async def tell_notice(tx: Tx, release: Release, parties: list[PartyId], now: Instant) -> None:
    """Give Parties the notice of a release; from then on they are told how it goes. Needs the fan-out lock."""
    release_id = release.notice.release_id
    await releases.add_parties(tx, release_id, parties)
    document = notice_document(release, now)
    event_id = notice_id(release)
    await feeds.append(
        tx, [feeds.Told(party, event_id, "release_notified", release_id, now, document) for party in parties]
    )


async def _tell_where_it_stands(tx: Tx, release: Release, roles: Mapping[PartyId, str], now: Instant) -> None:
    words = ((DECISION, release.decided), (PROGRESS, release.progressed))
    release_id = release.notice.release_id
    told = [
        feeds.Told(party, word.event_id, kind, release_id, now, _payload(kind, word, role))
        for kind, word in words
        if word is not None
        for party, role in roles.items()
    ]
    await feeds.append(tx, told)


def _payload(kind: str, word: releases.Word, role: str) -> dict[str, Any]:
    return for_supplier(word.payload) if kind == PROGRESS and role == SUPPLIER else word.payload


async def command(tx: Tx, caller: Caller, now: Now) -> Answered[None]:
    """Make sure the caller's Party is known."""
    role = role_of(caller.role)
    new = await ensure(tx, {caller.party: role}, now())
    change = Change("enrol", caller.party, None, {"role": role}) if new else None
    return Answered(None, f"enrol|{caller.party}", change)
