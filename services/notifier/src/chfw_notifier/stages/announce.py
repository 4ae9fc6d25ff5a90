"""Announce a release: its notice to every Party, and the first event of its roll-out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from chfw_common.events.release import CplEntry, Priority, ReleaseKind, ReleaseNotified, Severity
from chfw_common.kernel.ids import PartyId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import Mode, Rule
from chfw_common.kernel.waves import Wave
from chfw_common.published import smi
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.http.idempotency import recall, remember
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.http.waves import FAULTS
from chfw_common.runtime.service import Answered, Change, Now, Tx, release_event
from chfw_common.topology import RELEASE_NOTIFIED
from chfw_notifier.domain.fit import Fit, fit
from chfw_notifier.domain.notice import Dates, Refusal, set_dates
from chfw_notifier.domain.shares import share_out
from chfw_notifier.stages import enrol
from chfw_notifier.stages.render import notice_document
from chfw_notifier.store import feeds, releases
from chfw_notifier.store.releases import Release

FIRST_VERSION = 1


@dataclass(frozen=True, slots=True)
class Announcement:
    """A release as the DCC announces it. `digest` is that of its content; `organisations` are told beside Suppliers."""

    caller: Caller
    key: str
    digest: bytes
    organisations: Mapping[PartyId, str]
    release_id: ReleaseId
    cpl: CplEntry
    kind: ReleaseKind
    severity: Severity
    priority: Priority
    note_reference: str
    rule: Rule
    lone_lead: timedelta
    answer_min: timedelta
    pilot_cap: int
    automatic_date: Instant
    pilot_opens: Instant | None
    pilot_closes: Instant | None
    waves: tuple[Wave, ...]
    soak: timedelta
    may_fit_no_hub: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The notice as it was sent, and whether it had been before."""

    body: dict[str, Any]
    replayed: bool


_SAID: dict[StrEnum, str] = {
    Refusal.CPL_NOT_ACTIVE: "Only a version whose CPL entry is Active can be announced.",
    Refusal.DATE_IN_PAST: "Every `automatic_date` must be in the future.",
    Refusal.DATE_TOO_LATE: "`automatic_date` may be six calendar months from now at most.",
    Refusal.PILOT_ORDER: "`pilot_opens` must not be past and must come before `pilot_closes`.",
    Refusal.PILOT_AFTER_CUT_OFF: "The pilot must close before the first cut-off, one month before an `automatic_date`.",
    **FAULTS,
}


async def command(tx: Tx, announcement: Announcement, now: Now) -> Answered[Answer]:
    """Announce, or say again what was answered to the same key. Raises Problem for a refusal."""
    caller = announcement.caller
    known = await recall(tx, "notifier", caller.party, announcement.key, announcement.digest)
    if known is not None:
        return Answered(Answer(known, replayed=True), f"replay|{announcement.release_id}", None)
    # Before the locks: it reads every hub of the model, and nobody else need wait for that.
    fitting = await _fit(tx, announcement.cpl)
    await enrol.ensure(tx, {**announcement.organisations, caller.party: enrol.role_of(caller.role)}, now())
    await feeds.lock_fan_out(tx)
    at = now()
    dates = set_dates(
        cpl_active=announcement.cpl.state == "Active",
        automatic_date=announcement.automatic_date,
        pilot_opens=announcement.pilot_opens,
        pilot_closes=announcement.pilot_closes,
        waves=announcement.waves,
        soak=announcement.soak,
        now=at,
    )
    if not isinstance(dates, Dates):
        raise Problem(422, dates.value, _SAID[dates])
    if not fitting.hubs and not announcement.may_fit_no_hub:
        mend = "Mend `cpl`, or state `may_fit_no_hub` to announce it all the same."
        raise Problem(422, "fits_no_hub", f"{fitting.sentence} {mend}")
    notice = _event(announcement, dates, share_out(announcement.pilot_cap, fitting.parties))
    release = Release(notice, epoch=0, mode=Mode.HELD, automatic_date=dates.automatic_date, waves=dates.waves)
    if not await releases.add(tx, release.notice):
        raise Problem(409, "release_exists", "A release of this id was announced before.")
    await enrol.tell_notice(tx, release, await feeds.all_parties(tx), at)
    body = notice_document(release, at)
    body["fit"] = {
        "hubs": fitting.hubs,
        "of_model": fitting.of_model,
        "unfit": fitting.unfit,
        "pilot_places": release.notice.pilot_places,
    }
    await remember(tx, caller.party, announcement.key, announcement.digest, body)
    change = Change("announce", announcement.release_id, None, body)
    event = release_event(RELEASE_NOTIFIED, announcement.release_id, release.notice)
    return Answered(Answer(body, replayed=False), enrol.cause_of(release), change, [event])


async def _fit(tx: Tx, cpl: CplEntry) -> Fit:
    """How many hubs an entry of the CPL fits, as the inventory is now."""
    return fit(cpl.image, await smi.kinds_of_model(tx, cpl.manufacturer, cpl.model))


def _event(announcement: Announcement, dates: Dates, places: dict[PartyId, int]) -> ReleaseNotified:
    return ReleaseNotified(
        release_id=announcement.release_id,
        version=FIRST_VERSION,
        cpl=announcement.cpl,
        kind=announcement.kind,
        severity=announcement.severity,
        priority=announcement.priority,
        note_reference=announcement.note_reference,
        rule=announcement.rule,
        lone_lead=announcement.lone_lead,
        answer_min=announcement.answer_min,
        pilot_cap=announcement.pilot_cap,
        pilot_places=places,
        notified_at=dates.notified_at,
        pilot_opens=dates.pilot_opens,
        pilot_closes=dates.pilot_closes,
        automatic_date=dates.automatic_date,
        waves=dates.waves,
    )
