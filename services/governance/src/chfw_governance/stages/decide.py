"""Decide about a release: the next epoch, under the lock of the release's row."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chfw_common.events.decision import RolloutDecision
from chfw_common.events.waves import waves_from_json
from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.http.idempotency import recall, remember
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.http.waves import FAULTS, show_waves
from chfw_common.runtime.service import Answered, Change, Now, Outgoing, Tx, release_event
from chfw_common.topology import ROLLOUT_DECISION
from chfw_governance.domain.decide import Decided, Notice, Proposal, Refusal, decide, ends_pilot
from chfw_governance.store import releases


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """A decision as it came in. `digest` is that of its content."""

    caller: Caller
    key: str
    digest: bytes
    release_id: ReleaseId
    proposal: Proposal
    notice: Notice


@dataclass(frozen=True, slots=True)
class Answer:
    """The document of the decision, and whether it was given before."""

    body: dict[str, Any]
    replayed: bool


_SAID: dict[StrEnum, tuple[int, str]] = {
    Refusal.EPOCH_MOVED: (409, "Another decision came first: look at it, then decide."),
    Refusal.RELEASE_ENDED: (409, "The release was stopped or revoked; that is final."),
    Refusal.CPL_NOT_ACTIVE: (409, "While the CPL entry is not Active, nothing may go."),
    Refusal.PILOT_FIRST: (409, "A release runs only after its pilot."),
    Refusal.PILOT_UNTRIED: (
        409,
        "No hub of the pilot has come to an end: say in `without_pilot` why the release runs. Everybody is told it.",
    ),
    Refusal.PILOT_TRIED: (
        422,
        "`without_pilot` is for a decision that ends a pilot of which no hub has come to an end.",
    ),
    Refusal.TRANSITION_REFUSED: (409, "This mode may not follow the present one."),
    Refusal.NOTHING_CHANGES: (409, "The release is in this mode already, with these dates."),
    Refusal.CONFIRMATION_REQUIRED: (422, "Stop, delay and going on after a pause need `confirmed_by`."),
    Refusal.DATE_IN_PAST: (422, "An `automatic_date` must be in the future."),
    Refusal.DATE_TOO_LATE: (422, "A delayed `automatic_date` may be six months from now at most."),
    Refusal.NEW_DATE_REQUIRED: (
        422,
        "An automatic date has passed: going on needs a new one, far enough ahead. A wave may be left out instead.",
    ),
    **{fault: (422, said) for fault, said in FAULTS.items()},
}


async def command(tx: Tx, request: DecisionRequest, now: Now) -> Answered[Answer]:
    """Decide, or say again what was answered to the same key. Raises Problem for a refusal."""
    known = await recall(tx, "governance", request.caller.party, request.key, request.digest)
    if known is not None:
        return Answered(Answer(known, replayed=True), f"decision|{request.release_id}|{known['epoch']}", None)
    standing = await releases.lock_standing(tx, request.release_id)
    if standing is None:
        raise Problem(404, "unknown_release", "No such release is known here (yet).")
    at = now()
    tried = ends_pilot(standing, request.proposal) and await releases.pilot_tried(tx, request.release_id)
    decided = decide(standing, request.proposal, at, request.notice, pilot_tried=tried)
    if not isinstance(decided, Decided):
        status, sentence = _SAID[decided]
        raise Problem(status, decided.value, sentence)
    await releases.add_decision(tx, request.release_id, decided, request.caller.user_id, at)
    body = _render(request.release_id, decided, at)
    await remember(tx, request.caller.party, request.key, request.digest, body)
    return Answered(
        Answer(body, replayed=False),
        f"decision|{request.release_id}|{decided.epoch}",
        Change("decide", request.release_id, {"epoch": standing.epoch, "mode": standing.mode}, body),
        [published(request.release_id, decided, at)],
    )


def published(release_id: ReleaseId, decided: Decided, now: Instant) -> Outgoing:
    """The decision as everybody is told it."""
    event = RolloutDecision(
        release_id=release_id,
        epoch=decided.epoch,
        min_epoch=decided.min_epoch,
        mode=decided.mode,
        mode_since=decided.mode_since,
        automatic_date=decided.automatic_date,
        waves=decided.waves,
        reason=decided.reason,
        confirmed_by=decided.confirmed_by,
        without_pilot=decided.without_pilot,
        decided_at=now,
    )
    return release_event(ROLLOUT_DECISION, release_id, event)


async def listing(tx: Tx, release_id: ReleaseId) -> list[dict[str, Any]]:
    """The decisions on a release by epoch. Raises Problem 404 when it is not known."""
    rows = await releases.load_decisions(tx, release_id)
    if rows is None:
        raise Problem(404, "unknown_release", "No such release is known here (yet).")
    return [
        {
            "release_id": row["release_id"],
            "epoch": row["epoch"],
            "min_epoch": row["min_epoch"],
            "mode": row["mode"],
            "automatic_date": format_instant(row["automatic_date"]),
            "waves": show_waves(waves_from_json(row["waves"])),
            "reason": row["reason"],
            "confirmed_by": row["confirmed_by"],
            "without_pilot": row["without_pilot"],
            "decided_at": format_instant(row["decided_at"]),
            "state": row["state"],
            "at_risk": row["at_risk"],
        }
        for row in rows
    ]


def _render(release_id: ReleaseId, decided: Decided, now: Instant) -> dict[str, Any]:
    return {
        "release_id": release_id,
        "epoch": decided.epoch,
        "min_epoch": decided.min_epoch,
        "mode": decided.mode.value,
        "automatic_date": format_instant(decided.automatic_date),
        "waves": show_waves(decided.waves),
        "reason": decided.reason,
        "confirmed_by": decided.confirmed_by,
        "without_pilot": decided.without_pilot,
        "decided_at": format_instant(now),
        "state": releases.REQUESTED,
        "at_risk": None,
    }
