"""Revise a notice: another release note or CPL state is a higher version, told to everybody again (R1-5)."""

from dataclasses import dataclass, replace
from typing import Any

from chfw_common.events.release import CplState
from chfw_common.kernel.ids import ReleaseId
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.http.idempotency import recall, remember
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.service import Answered, Change, Now, Tx, release_event
from chfw_common.topology import RELEASE_NOTIFIED
from chfw_notifier.stages import enrol
from chfw_notifier.stages.announce import Answer
from chfw_notifier.stages.render import notice_document
from chfw_notifier.store import feeds, releases
from chfw_notifier.store.releases import Release


@dataclass(frozen=True, slots=True)
class Revision:
    """What the DCC changes of a notice; None leaves a thing as it is. `digest` is that of the content."""

    caller: Caller
    key: str
    digest: bytes
    release_id: ReleaseId
    note_reference: str | None
    cpl_state: CplState | None


async def command(tx: Tx, revision: Revision, now: Now) -> Answered[Answer]:
    """Revise, or say again what was answered to the same key. What changes nothing is told to nobody.

    Raises Problem 404 for an unknown release.
    """
    caller, release_id = revision.caller, revision.release_id
    known = await recall(tx, "notifier", caller.party, revision.key, revision.digest)
    if known is not None:
        return Answered(Answer(known, replayed=True), f"replay|{release_id}", None)
    await enrol.ensure(tx, {caller.party: enrol.role_of(caller.role)}, now())
    await feeds.lock_fan_out(tx)
    at = now()
    found = await releases.find(tx, release_id)
    if found is None:
        raise Problem(404, "unknown_release", "No such release.")
    release = _revised(found, revision)
    if release is None:
        body = notice_document(found, at)
        await remember(tx, caller.party, revision.key, revision.digest, body)
        return Answered(Answer(body, replayed=False), f"unchanged|{release_id}", None)
    await releases.revise(tx, release.notice)
    await enrol.tell_notice(tx, release, await feeds.all_parties(tx), at)
    body = notice_document(release, at)
    await remember(tx, caller.party, revision.key, revision.digest, body)
    change = Change("revise", release_id, _revisable(found), _revisable(release))
    event = release_event(RELEASE_NOTIFIED, release_id, release.notice)
    return Answered(Answer(body, replayed=False), enrol.cause_of(release), change, [event])


def _revisable(release: Release) -> dict[str, Any]:
    """What a revision may change, and the version that says it."""
    notice = release.notice
    return {"version": notice.version, "note_reference": notice.note_reference, "cpl_state": notice.cpl.state}


def _revised(found: Release, revision: Revision) -> Release | None:
    """The release with its next notice, or None when nothing is different."""
    known = found.notice
    note = revision.note_reference or known.note_reference
    cpl = known.cpl.model_copy(update={"state": revision.cpl_state or known.cpl.state})
    if (note, cpl) == (known.note_reference, known.cpl):
        return None
    changes = {"version": known.version + 1, "note_reference": note, "cpl": cpl}
    return replace(found, notice=known.model_copy(update=changes))
