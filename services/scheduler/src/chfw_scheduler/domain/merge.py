"""Consent: when one hub of one release is to be updated, from what its responsible Parties have answered.

This is the only place where the consent rules of REQUIREMENTS (R3-2 to R3-9, A-9, A-10) are written. Intake
has judged every answer before it comes here, so nothing is refused: `plan` is total and says what follows
from the answers that count. It reads no clock. That a waiting period has passed is a fact that a tick hands
in; a time already past is planned as stated, and the caller treats it as asap and late.

The two halves of the promise of I3: `newer` keeps one answer a Party, whatever the order and repetition in
which they arrive, and `plan` looks at nothing but those, the present responsible Parties and the present
terms.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from chfw_common.kernel.coarse import day_from, day_of, quarter_from
from chfw_common.kernel.hubs import Responsibility
from chfw_common.kernel.ids import PartyId
from chfw_common.kernel.instants import Instant, shifted
from chfw_common.kernel.months import cut_off
from chfw_common.kernel.rollout import AnswerKind, Group, Rule


class Answer(NamedTuple):
    """What one Party said of one hub in one release, as accepted.

    `party_seq` is the Party's order of acceptance. `activate_at` is the stated time, None for "no
    preference"; it means something only where the answer instructs.
    """

    party: PartyId
    party_seq: int
    kind: AnswerKind
    group: Group
    received_at: Instant
    activate_at: Instant | None

    @property
    def instructs(self) -> bool:
        """Whether the Party has instructed (R3-4). To agree is to instruct for the time shown (A-9)."""
        return self.kind is AnswerKind.INSTRUCT or self.kind is AnswerKind.AGREE


def newer(known: Answer | None, other: Answer) -> Answer:
    """The later of two answers of one Party by `party_seq`: a join, so order and repeats do not matter (I3).

    Acceptance gives no number twice. Should one arrive with two contents all the same, the choice between
    them is arbitrary but the same everywhere; the caller records the anomaly.
    """
    return other if known is None else max(known, other, key=_precedence)


def latest(answers: Iterable[Answer]) -> tuple[Answer, ...]:
    """The newest answer of each Party, in the order of the Parties' ids."""
    slots: dict[PartyId, Answer] = {}
    for answer in answers:
        slots[answer.party] = newer(slots.get(answer.party), answer)
    return tuple(slots[party] for party in sorted(slots))


class Terms(NamedTuple):
    """What the release lays down for a hub at present, its wave included. `automatic_date` is D.

    Nothing is planned before the hub's group opens: the pilot at `pilot_opens`, a wave at `opens`.
    """

    rule: Rule
    automatic_date: Instant
    lone_lead: timedelta
    answer_min: timedelta
    pilot_opens: Instant | None = None
    wave: str | None = None
    opens: Instant | None = None

    @property
    def cut_off(self) -> Instant:
        """The last instant at which an answer is in time (R3-7)."""
        return cut_off(self.automatic_date)

    def answer_by(self, stated: Instant | None, received_at: Instant) -> Instant:
        """Until when a lone instruction waits for the second Party (R3-6, voluntary rule).

        The second Party gets until `lone_lead` before the stated time, at least `answer_min`, never more than
        the cut-off allows. Without a stated time nothing presses before the cut-off. It is a midnight (UTC) unless it
        is the cut-off: the lead is rounded up and so is the least time to answer, since a finer instant would tell
        when the first Party instructed.
        """
        if stated is None:
            return self.cut_off
        earliest = max(day_of(shifted(stated, -self.lone_lead)), day_from(shifted(received_at, self.answer_min)))
        return min(self.cut_off, earliest)


class Basis(StrEnum):
    """What a planned time rests on."""

    WAITING = "waiting"
    """One Party has instructed, the other may still answer."""
    STATED = "stated"
    """Consent is complete and somebody stated a time."""
    ASAP = "asap"
    """Consent is complete and nobody stated a time."""
    AUTOMATIC = "automatic"
    """Nobody has instructed: D applies (R3-9)."""


class Plan(NamedTuple):
    """What the answers amount to at present.

    `activate_at` is the time that applies if nothing more is heard, never later than D (R3-1). None means as
    soon as capacity allows: at once under ASAP, after `answer_by` under WAITING. `answer_by` is set only
    while a lone instruction waits under the voluntary rule. `proposed_at` is the latest time stated in an
    instruction that counts, brought between `opens` and D: what a second Party may agree to. `opens` is when the hub's
    group opens: before that it is not activated, however soon it may be. `counting` are the answers that
    count, of any kind; `lapsed` are the Parties whose instruction does not (any more). `pilot`: an instruction that
    counts names the pilot group; one Party's is enough (R2-4). `terms` are those this was made under.
    """

    basis: Basis
    activate_at: Instant | None
    answer_by: Instant | None
    proposed_at: Instant | None
    counting: tuple[Answer, ...]
    lapsed: tuple[PartyId, ...]
    pilot: bool
    opens: Instant | None
    terms: Terms

    @property
    def complete(self) -> bool:
        """Whether distribution may start by consent (R3-3, R3-8); without it, only as D comes near."""
        return self.basis is Basis.STATED or self.basis is Basis.ASAP


def plan(
    answers: Iterable[Answer],
    responsible: Sequence[Responsibility],
    *,
    terms: Terms,
    answer_closed: Instant | None,
) -> Plan:
    """Apply the consent table to the present Parties and terms (R3-2 to R3-9, A-10, I19).

    `answers` may be one a Party or the whole history, of present and former Parties, in any order.
    `answer_closed` is the latest `answer_by` that a tick has found passed, None before the first. It closes
    no later `answer_by`, so a lone instruction with a new time, or a delayed D, opens a new waiting period by
    itself.
    """
    since = _responsible_since(responsible)
    slots = latest(answers)
    counting = tuple(answer for answer in slots if _counts(answer, since.get(answer.party)))
    instructions = tuple(answer for answer in counting if answer.instructs)
    silent = since.keys() - {answer.party for answer in counting if _settles(answer, terms.rule)}
    pilot = any(answer.group is Group.PILOT for answer in instructions)
    opens = terms.pilot_opens if pilot else terms.opens
    proposed_at = _proposed_at(instructions, opens, terms.automatic_date)
    row = _table_row(instructions, silent, proposed_at=proposed_at, terms=terms, answer_closed=answer_closed)
    return Plan(
        basis=row.basis,
        activate_at=row.activate_at,
        answer_by=row.answer_by,
        proposed_at=proposed_at,
        counting=counting,
        lapsed=tuple(answer.party for answer in slots if answer.instructs and answer not in instructions),
        pilot=pilot,
        opens=opens,
        terms=terms,
    )


class _Row(NamedTuple):
    basis: Basis
    activate_at: Instant | None
    answer_by: Instant | None = None


def _table_row(
    instructions: Sequence[Answer],
    silent: Collection[PartyId],
    *,
    proposed_at: Instant | None,
    terms: Terms,
    answer_closed: Instant | None,
) -> _Row:
    """The row of the table that applies. Where one Party answers for the hub, no other is silent (R3-2)."""
    if not instructions:
        return _Row(Basis.AUTOMATIC, terms.automatic_date)
    agreed = _Row(Basis.ASAP if proposed_at is None else Basis.STATED, proposed_at)
    if not silent:
        return agreed
    if terms.rule is Rule.MANDATORY:
        return _Row(Basis.WAITING, terms.automatic_date)
    answer_by = terms.answer_by(proposed_at, max(answer.received_at for answer in instructions))
    if answer_closed is not None and answer_closed >= answer_by:
        return agreed
    return _Row(Basis.WAITING, proposed_at, answer_by)


def _settles(answer: Answer, rule: Rule) -> bool:
    """Whether nobody need wait for this Party. Under the mandatory rule a decline is no answer."""
    return answer.instructs or (answer.kind is AnswerKind.DECLINE and rule is Rule.VOLUNTARY)


def _proposed_at(instructions: Iterable[Answer], opens: Instant | None, automatic_date: Instant) -> Instant | None:
    """The latest stated time (R3-5). One that a D brought forward has overtaken becomes D; one before the opening,
    which may have moved since, becomes the opening."""
    stated = [_stated(answer, answer.activate_at) for answer in instructions if answer.activate_at is not None]
    if not stated:
        return None
    return min(max(stated) if opens is None else max(*stated, opens), automatic_date)


def _stated(answer: Answer, activate_at: Instant) -> Instant:
    """A stated time as it counts: from the next quarter of an hour on. One that was agreed to counts as shown."""
    return activate_at if answer.kind is AnswerKind.AGREE else quarter_from(activate_at)


def _responsible_since(responsible: Iterable[Responsibility]) -> dict[PartyId, Instant]:
    """The Parties that answer for the hub, each since the earliest start among its present roles.

    The same Party as Import and Gas Supplier is one (R3-2), and giving up one of its roles keeps its consent.
    When it gives up the role it had first, the inventory carries that start over to the role it keeps: only
    the inventory can tell an unbroken period from a return.
    """
    since: dict[PartyId, Instant] = {}
    for one in responsible:
        since[one.party] = min(one.since, since.get(one.party, one.since))
    return since


def _counts(answer: Answer, since: Instant | None) -> bool:
    """Whether the answer was accepted within the period of responsibility that its Party is in now."""
    return since is not None and answer.received_at >= since


def _precedence(answer: Answer) -> tuple[int, Instant, str, str, bool, Instant]:
    """A total order of one Party's answers; all but the first place only settle what should not happen."""
    stated = answer.activate_at
    return (
        answer.party_seq,
        answer.received_at,
        answer.kind,
        answer.group,
        stated is not None,
        answer.received_at if stated is None else stated,
    )
