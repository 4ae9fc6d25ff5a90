"""Accept a request: in one transaction its whole content, its instant and its place in the Party's line.

Verdicts follow as a job. Once this commits, the request is not lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from chfw_common.kernel.ids import PartyId, ReleaseId
from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.kernel.rollout import AnswerKind, Group
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.http.idempotency import reused_key
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.http.quotas import too_many
from chfw_common.runtime.service import Answered, Change, NewJob, Now, Tx
from chfw_instruction.domain.entries import Chunk
from chfw_instruction.domain.quota import Quota, Spent, Used, spent, until_free
from chfw_instruction.domain.terms import WholeRefusal, counted_time, refuse_whole
from chfw_instruction.stages.progress import received
from chfw_instruction.store import releases, requests
from chfw_instruction.store.requests import Moment

__all__ = ["Moment", "Receipt", "Submission", "admit", "command"]


@dataclass(frozen=True, slots=True)
class Submission:
    """A request as it came in. `digest` is that of its content, `limit` the most entries taken, `quota`
    what the Party may use, `came_at` when it was let in, by the machine.

    `header` names the columns of a CSV file.
    """

    caller: Caller
    key: str
    digest: bytes
    release_id: ReleaseId
    kind: AnswerKind
    group: Group
    activate_at: Instant | None
    chunks: Sequence[Chunk]
    header: Sequence[str] | None
    limit: int
    quota: Quota
    came_at: Instant

    @property
    def entries(self) -> int:
        """How many entries were listed."""
        return sum(map(len, self.chunks))


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the sender is told at once. `replayed`: it was told so before."""

    id: UUID
    entries: int
    received_at: Instant
    replayed: bool


_SAID: dict[WholeRefusal, tuple[int, str]] = {
    WholeRefusal.UNKNOWN_RELEASE: (404, "No such release is known here (yet)."),
    WholeRefusal.RELEASE_REVOKED: (409, "The notice of this release was revoked."),
    WholeRefusal.RELEASE_STOPPED: (409, "This release was stopped."),
    WholeRefusal.CPL_NOT_ACTIVE: (409, "The CPL entry of this release is not Active."),
    WholeRefusal.DECLINE_UNDER_MANDATORY: (422, "Under the mandatory rule a release cannot be declined."),
    WholeRefusal.TIME_REQUIRED: (422, "To agree, repeat the time that was shown in `activate_at`."),
    WholeRefusal.TIME_NOT_ALLOWED: (422, "A decline or a withdrawal takes no `activate_at`."),
    WholeRefusal.TIME_IN_PAST: (422, "`activate_at` is in the past."),
    WholeRefusal.EMPTY_LIST: (422, "The list of hubs is empty."),
    WholeRefusal.TOO_MANY_ENTRIES: (413, "The list of hubs has more entries than one request may."),
}


_OVER: dict[Spent, str] = {
    Spent.OPEN_REQUESTS: "The Party has as many requests without all verdicts as it may have.",
    Spent.OPEN_ENTRIES: "The Party has as many entries without a verdict as it may have.",
    Spent.ENTRIES_STANDING: "The Party has sent as many entries in a short time as it may send.",
    Spent.ENTRIES_TODAY: "The Party has sent as many entries today (UTC) as it may send.",
}


async def admit(tx: Tx, party: PartyId, key: str, quota: Quota, moment: Moment) -> None:
    """Refuse a request that would be over the quota, before its body is read. Raises Problem 429.

    A key that is known is let in: its answer was given, and is given again.
    """
    used, known = await requests.used(tx, party, key, quota, moment)
    if not known:
        _refuse_over(quota, used, moment.now)


def _refuse_over(quota: Quota, used: Used, now: Instant) -> None:
    over = spent(quota, used)
    if over is not None:
        raise too_many(over.value, _OVER[over], until_free(over, quota, used, now))


async def command(tx: Tx, submission: Submission, now: Now) -> Answered[Receipt]:
    """Accept the submission, or say again what was said to the same key. Raises Problem for a refusal.

    Parties take turns at being judged: the job of a request stands in the queue of its Party.
    """
    caller = submission.caller
    last_seq = await requests.lock_party(tx, caller.party)
    before = await requests.find_by_key(tx, caller.party, submission.key)
    if before is not None:
        if bytes(before["digest"]) != submission.digest:
            raise reused_key()
        receipt = Receipt(before["id"], before["entries"], before["received_at"], replayed=True)
        return Answered(receipt, f"request|{receipt.id}", None)
    at = now()
    terms = await releases.load_terms(tx, submission.release_id)
    refusal = refuse_whole(
        terms,
        kind=submission.kind,
        activate_at=submission.activate_at,
        entries=submission.entries,
        limit=submission.limit,
        now=at,
    )
    if refusal is not None or terms is None:
        code = refusal or WholeRefusal.UNKNOWN_RELEASE
        raise Problem(_SAID[code][0], code.value, _SAID[code][1])
    # Again, under the lock: bodies are read side by side, and what was accepted meanwhile counts.
    moment = Moment(at, submission.came_at)
    used, _ = await requests.used(tx, caller.party, submission.key, submission.quota, moment, accepting=True)
    _refuse_over(submission.quota, used, at)
    accepted = requests.Accepted(
        party=caller.party,
        key=submission.key,
        digest=submission.digest,
        user_id=caller.user_id,
        party_seq=last_seq + 1,
        kind=submission.kind,
        group=submission.group,
        activate_at=counted_time(submission.kind, submission.activate_at),
        received_at=at,
        entries=submission.entries,
        header=submission.header,
        terms=terms,
    )
    await requests.add(tx, accepted, submission.chunks, used.entries_standing, submission.came_at)
    job = NewJob(requests.JUDGE, str(accepted.id), {"request": str(accepted.id)}, queue=caller.party)
    receipt = Receipt(accepted.id, submission.entries, at, replayed=False)
    return Answered(receipt, f"request|{receipt.id}", _change(accepted), [received(accepted)], [job])


def _change(accepted: requests.Accepted) -> Change:
    after = {
        "release_id": accepted.terms.release_id,
        "kind": accepted.kind,
        "group": accepted.group,
        "activate_at": accepted.activate_at and format_instant(accepted.activate_at),
        "entries": accepted.entries,
        "digest": accepted.digest.hex(),
        "party_seq": accepted.party_seq,
    }
    return Change("instruct", str(accepted.id), {"party_seq": accepted.party_seq - 1}, after)
