"""One line of the inventory and what may change it: an alert, a version read, a load, a change of Supplier.

Every function says what the line becomes, or None when nothing is to be changed or told: that is how repeats are
absorbed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from chfw_common.kernel.hubs import DeviceStatus, DeviceType, HubRecord, Responsibility
from chfw_common.kernel.ids import HubId, PartyId, ReleaseId, UserId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role


class GpfTakenError(ValueError):
    """A GPF can belong to one hub only."""


@dataclass(frozen=True, slots=True)
class Line:
    """A hub as the inventory keeps it. `firmware_at` is when it ran its version for certain."""

    record: HubRecord
    gpf: HubId | None
    status_since: Instant
    firmware_at: Instant | None = None


class Heard(NamedTuple):
    """What a hub has said of itself, and what absorbs repeats of it. A tuple, as every alert makes one."""

    firmware: str
    firmware_at: Instant | None
    smi_version: int
    alert_release: ReleaseId | None = None
    alert_counter: int = 0
    read_release: ReleaseId | None = None
    read_counter: int = 0


class Sight(StrEnum):
    """How the inventory got to know what a hub runs."""

    ALERT = "alert"
    READ = "read"


class Observation(NamedTuple):
    """A hub's own word: it ran `firmware` at an instant.

    `own_counter` is what a repeat shows again: the alert's own counter, or that of the read command.
    """

    hub: HubId
    sight: Sight
    release_id: ReleaseId
    own_counter: int
    command_counter: int
    firmware: str
    at: Instant
    outcome: int | None = None


def observe(heard: Heard, seen: Observation) -> Heard | None:
    """What was heard after an observation; None when it was observed before (I18).

    Alerts and reads come over two topics, so a read can be overtaken by a later alert: an older word never replaces
    the version of a younger one. At the same instant the alert counts, because a hub that has activated no longer
    reads the old version.
    """
    firmware, at, version, alert_release, alert_counter, read_release, read_counter = heard
    is_alert = seen.sight is Sight.ALERT
    if seen.own_counter <= (alert_counter if is_alert else read_counter):
        return None
    if at is None or seen.at > at or (is_alert and seen.at == at):
        firmware, at = seen.firmware, seen.at
    if is_alert:
        alert_release, alert_counter = seen.release_id, seen.own_counter
    else:
        read_release, read_counter = seen.release_id, seen.own_counter
    return Heard(firmware, at, version + 1, alert_release, alert_counter, read_release, read_counter)


def restores(status: DeviceStatus, before: Heard, after: Heard) -> bool:
    """Whether the hub's own word ends its suspension (ADR 0057): it runs another version than the one it had.

    A hub is suspended because its version has left the Central Products List; what it runs now was handed out under an
    entry that was Active. A word that changes no version ends nothing.
    """
    return status is DeviceStatus.SUSPENDED and after.firmware != before.firmware


@dataclass(frozen=True, slots=True)
class Claimed:
    """A responsibility as somebody states it; without a start it keeps the known one, else it starts now."""

    role: Role
    party: PartyId
    user_id: UserId
    since: Instant | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A full record as it is loaded."""

    hub: HubId
    gpf: HubId | None
    device_type: DeviceType
    status: DeviceStatus
    status_since: Instant | None
    manufacturer: str
    model: str
    hardware: str
    firmware: str
    gbcs: str
    region: str
    responsible: tuple[Claimed, ...]


def load(known: Line | None, loaded: Loaded, part: int, now: Instant) -> Line | None:
    """The line after a load; None when it says nothing new."""
    before = known.record.responsible if known else ()
    record = HubRecord(
        hub=loaded.hub,
        part=part,
        device_type=loaded.device_type,
        status=loaded.status,
        manufacturer=loaded.manufacturer,
        model=loaded.model,
        hardware=loaded.hardware,
        firmware=loaded.firmware,
        gbcs=loaded.gbcs,
        region=loaded.region,
        responsible=_unbroken(before, loaded.responsible, [_since(before, claim, now) for claim in loaded.responsible]),
        smi_version=known.record.smi_version if known else 1,
    )
    if known is None:
        return Line(record, loaded.gpf, loaded.status_since or now)
    kept_since = known.status_since if known.record.status is loaded.status else now
    status_since = loaded.status_since or kept_since
    if (record, loaded.gpf, status_since) == (known.record, known.gpf, known.status_since):
        return None
    return replace(
        known,
        record=replace(record, smi_version=record.smi_version + 1),
        gpf=loaded.gpf,
        status_since=status_since,
        firmware_at=known.firmware_at if record.firmware == known.record.firmware else now,
    )


class FormerStatus(NamedTuple):
    """A status that applied once, from when and until when. What applies now stands in the line itself."""

    hub: HubId
    smi_version: int
    status: DeviceStatus
    since: Instant
    until: Instant


def former_status(before: Line, after: Line) -> FormerStatus | None:
    """The status that a change has ended, if it has; the version is the one that ended it."""
    if before.record.status is after.record.status:
        return None
    return FormerStatus(
        after.record.hub,
        after.record.smi_version,
        before.record.status,
        before.status_since,
        after.status_since,
    )


@dataclass(frozen=True, slots=True)
class SupplierChange:
    """Who answers for a hub in one role from now on; without a claim nobody does."""

    hub: HubId
    role: Role
    claim: Claimed | None


def change_suppliers(line: Line, changes: Sequence[SupplierChange], now: Instant) -> Line | None:
    """The line after changes of Supplier; None when all of them are known."""
    before = line.record.responsible
    by_role = {entry.role: entry for entry in before}
    for change in changes:
        if change.claim is None:
            by_role.pop(change.role, None)
        else:
            by_role[change.role] = _since(before, change.claim, now)
    claims = [change.claim for change in changes if change.claim is not None]
    after = _unbroken(before, claims, list(by_role.values()))
    if after == before:
        return None
    record = replace(line.record, responsible=after, smi_version=line.record.smi_version + 1)
    return replace(line, record=record)


def _since(before: Sequence[Responsibility], claim: Claimed, now: Instant) -> Responsibility:
    known = next(
        (
            entry.since
            for entry in before
            if (entry.role, entry.party, entry.user_id) == (claim.role, claim.party, claim.user_id)
        ),
        now,
    )
    return Responsibility(claim.party, claim.user_id, claim.role, claim.since or known)


def _unbroken(
    before: Sequence[Responsibility], claims: Sequence[Claimed], after: Sequence[Responsibility]
) -> tuple[Responsibility, ...]:
    """The responsibilities with the earlier start carried over to what a Party keeps when it gives up what began first.

    `since` means the unbroken period in which the Party answered for the hub, in whatever role and under whatever User
    ID (ADR 0011). A start that is stated counts as it is stated.
    """
    earliest: dict[PartyId, Instant] = {}
    for entry in before:
        earliest[entry.party] = min(entry.since, earliest.get(entry.party, entry.since))
    stated = {claim.role for claim in claims if claim.since is not None}
    kept = list(_in_order(after))
    for party, since in earliest.items():
        free = [n for n, entry in enumerate(kept) if entry.party == party and entry.role not in stated]
        if free and min(entry.since for entry in kept if entry.party == party) > since:
            kept[free[0]] = kept[free[0]]._replace(since=since)
    return tuple(kept)


def _in_order(entries: Sequence[Responsibility]) -> tuple[Responsibility, ...]:
    """Import before gas: the order in which the published view shows them."""
    return tuple(sorted(entries, key=lambda entry: entry.role is not Role.IMPORT_SUPPLIER))
