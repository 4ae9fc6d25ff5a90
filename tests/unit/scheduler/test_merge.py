"""The consent table row by row, its dates at their boundaries, and changes of Supplier (I19)."""

from datetime import timedelta

import pytest

from chfw_common.kernel.hubs import Responsibility
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.instants import Instant, parse_instant
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import AnswerKind, Group, Rule
from chfw_scheduler.domain.merge import Answer, Basis, Plan, Terms, latest, newer, plan

D = parse_instant("2027-03-31T12:00:00Z")
CUT_OFF = parse_instant("2027-02-28T23:59:59.999999Z")
EARLY = parse_instant("2026-12-10T02:00:00Z")
AGREED = parse_instant("2026-12-20T02:00:00Z")
LATE = parse_instant("2027-01-20T02:00:00Z")
RECEIVED = parse_instant("2026-11-01T09:00:00Z")
JOINED = parse_instant("2024-01-01T00:00:00Z")
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
QUARTER = timedelta(minutes=15)

ELEC, GAS, NEXT = PartyId("elec"), PartyId("gas"), PartyId("next")
VOLUNTARY = Terms(rule=Rule.VOLUNTARY, automatic_date=D, lone_lead=14 * DAY, answer_min=3 * DAY)
MANDATORY = VOLUNTARY._replace(rule=Rule.MANDATORY)

SAID: dict[str, tuple[AnswerKind, Instant | None]] = {
    "early": (AnswerKind.INSTRUCT, EARLY),
    "late": (AnswerKind.INSTRUCT, LATE),
    "blank": (AnswerKind.INSTRUCT, None),
    "agree": (AnswerKind.AGREE, AGREED),
    "decline": (AnswerKind.DECLINE, None),
    "withdraw": (AnswerKind.WITHDRAW, None),
}


def answer(
    party: PartyId, said: str, *, seq: int = 1, at: Instant = RECEIVED, group: Group = Group.SAFE_LAUNCH
) -> Answer:
    kind, time = SAID[said]
    return Answer(party, seq, kind, group, at, time)


def instruct(party: PartyId, time: Instant | None, *, seq: int = 1, at: Instant = RECEIVED) -> Answer:
    return Answer(party, seq, AnswerKind.INSTRUCT, Group.SAFE_LAUNCH, at, time)


def supplier(party: PartyId, role: Role, since: Instant = JOINED) -> Responsibility:
    return Responsibility(party=party, user_id=UserId(f"{party}-{role}"), role=role, since=since)


IMPORT = supplier(ELEC, Role.IMPORT_SUPPLIER)
BOTH = (IMPORT, supplier(GAS, Role.GAS_SUPPLIER))
ALONE = (IMPORT,)
TWO_ROLES = (IMPORT, supplier(ELEC, Role.GAS_SUPPLIER))
NOBODY: tuple[Responsibility, ...] = ()


def planned(
    *answers: Answer,
    by: tuple[Responsibility, ...] = BOTH,
    terms: Terms = VOLUNTARY,
    closed: Instant | None = None,
) -> Plan:
    return plan(answers, by, terms=terms, answer_closed=closed)


# The table of REQUIREMENTS. Columns: the row, what each of the two Parties says ("-" for silent), whether
# answer_by has passed, then under each rule what the time rests on and the time (None: as soon as possible).
STATED, ASAP, AUTO, WAIT = Basis.STATED, Basis.ASAP, Basis.AUTOMATIC, Basis.WAITING
TABLE: list[tuple[str, str, bool, tuple[Basis, Instant | None], tuple[Basis, Instant | None]]] = [
    ("by every one", "early+late", False, (STATED, LATE), (STATED, LATE)),
    ("by every one", "late+early", False, (STATED, LATE), (STATED, LATE)),
    ("by every one", "early+early", False, (STATED, EARLY), (STATED, EARLY)),
    ("by every one", "early+agree", False, (STATED, AGREED), (STATED, AGREED)),
    ("by every one", "agree+late", False, (STATED, LATE), (STATED, LATE)),
    ("by every one, after answer_by", "early+late", True, (STATED, LATE), (STATED, LATE)),
    ("by all, some blank", "early+blank", False, (STATED, EARLY), (STATED, EARLY)),
    ("by all, some blank", "blank+late", False, (STATED, LATE), (STATED, LATE)),
    ("by all, some blank", "agree+blank", False, (STATED, AGREED), (STATED, AGREED)),
    ("by all, all blank", "blank+blank", False, (ASAP, None), (ASAP, None)),
    ("by one of two, other silent", "early+-", False, (WAIT, EARLY), (WAIT, D)),
    ("by one of two, other silent", "-+late", False, (WAIT, LATE), (WAIT, D)),
    ("by one of two, other silent", "agree+-", False, (WAIT, AGREED), (WAIT, D)),
    ("by one of two, other silent", "blank+-", False, (WAIT, None), (WAIT, D)),
    ("by one of two, other withdrawn", "early+withdraw", False, (WAIT, EARLY), (WAIT, D)),
    ("by one of two, other withdrawn", "withdraw+blank", False, (WAIT, None), (WAIT, D)),
    ("by one of two, other silent, after answer_by", "early+-", True, (STATED, EARLY), (WAIT, D)),
    ("by one of two, other silent, after answer_by", "-+late", True, (STATED, LATE), (WAIT, D)),
    ("by one of two, other silent, after answer_by", "agree+-", True, (STATED, AGREED), (WAIT, D)),
    ("by one of two, other silent, after answer_by", "blank+-", True, (ASAP, None), (WAIT, D)),
    ("by one of two, other withdrawn, after answer_by", "early+withdraw", True, (STATED, EARLY), (WAIT, D)),
    ("by one of two, other declined", "early+decline", False, (STATED, EARLY), (WAIT, D)),
    ("by one of two, other declined", "decline+late", False, (STATED, LATE), (WAIT, D)),
    ("by one of two, other declined", "agree+decline", False, (STATED, AGREED), (WAIT, D)),
    ("by one of two, other declined", "blank+decline", False, (ASAP, None), (WAIT, D)),
    ("by one of two, other declined, after answer_by", "early+decline", True, (STATED, EARLY), (WAIT, D)),
    ("by none", "-+-", False, (AUTO, D), (AUTO, D)),
    ("by none", "decline+-", False, (AUTO, D), (AUTO, D)),
    ("by none", "withdraw+-", False, (AUTO, D), (AUTO, D)),
    ("by none", "decline+decline", False, (AUTO, D), (AUTO, D)),
    ("by none", "decline+withdraw", False, (AUTO, D), (AUTO, D)),
    ("by none", "withdraw+withdraw", False, (AUTO, D), (AUTO, D)),
    ("by none, after answer_by", "-+-", True, (AUTO, D), (AUTO, D)),
    ("by none, after answer_by", "withdraw+-", True, (AUTO, D), (AUTO, D)),
]
ONE_PARTY: list[tuple[str, tuple[Basis, Instant | None]]] = [
    ("early", (STATED, EARLY)),
    ("late", (STATED, LATE)),
    ("agree", (STATED, AGREED)),
    ("blank", (ASAP, None)),
    ("decline", (AUTO, D)),
    ("withdraw", (AUTO, D)),
    ("-", (AUTO, D)),
]


@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize(
    ("said", "passed", "voluntary", "mandatory"),
    [row[1:] for row in TABLE],
    ids=[f"{row[0]}: {row[1]}" for row in TABLE],
)
def test_table(
    said: str,
    passed: bool,
    voluntary: tuple[Basis, Instant | None],
    mandatory: tuple[Basis, Instant | None],
    rule: Rule,
) -> None:
    """Every row and column of the consent table (R3-3, R3-5, R3-6, R3-9, A-9, A-10)."""
    answers = [answer(p, s) for p, s in zip((ELEC, GAS), said.split("+"), strict=True) if s != "-"]
    terms = VOLUNTARY._replace(rule=rule)
    outcome = planned(*answers, terms=terms, closed=terms.cut_off if passed else None)
    expected = voluntary if rule is Rule.VOLUNTARY else mandatory
    assert (outcome.basis, outcome.activate_at) == expected
    assert outcome.complete == (outcome.basis in {STATED, ASAP})


@pytest.mark.parametrize("terms", [VOLUNTARY, MANDATORY], ids=["voluntary", "mandatory"])
@pytest.mark.parametrize("by", [ALONE, TWO_ROLES], ids=["one role", "both roles"])
@pytest.mark.parametrize(("said", "expected"), ONE_PARTY, ids=[said for said, _ in ONE_PARTY])
def test_one_party_needs_one_instruction(
    said: str, expected: tuple[Basis, Instant | None], by: tuple[Responsibility, ...], terms: Terms
) -> None:
    """One Supplier, or the same Party in both roles: nobody is waited for (R3-2)."""
    outcome = planned(*([answer(ELEC, said)] if said != "-" else []), by=by, terms=terms)
    assert (outcome.basis, outcome.activate_at) == expected
    assert outcome.answer_by is None


@pytest.mark.parametrize("said", SAID)
def test_without_a_responsible_supplier_the_hub_goes_at_d(said: str) -> None:
    """No responsible Supplier at all: D."""
    outcome = planned(answer(ELEC, said), by=NOBODY, closed=CUT_OFF)
    assert (outcome.basis, outcome.activate_at) == (AUTO, D)
    assert outcome.counting == ()


def test_cut_off_is_one_calendar_month_before_d() -> None:
    """R3-7, with the month clamped to its end."""
    assert VOLUNTARY.cut_off == CUT_OFF


LEAST = parse_instant("2026-11-05T00:00:00Z")
"""The first midnight that gives the second Party three days after `RECEIVED`."""
MIDNIGHT = parse_instant("2027-01-20T00:00:00Z")
ANSWER_BY: list[tuple[str, Instant | None, Instant, Instant]] = [
    ("lead wins: the midnight before it", LATE, RECEIVED, MIDNIGHT - 14 * DAY),
    ("lead at midnight", MIDNIGHT, RECEIVED, MIDNIGHT - 14 * DAY),
    ("lead just before midnight", MIDNIGHT - QUARTER, RECEIVED, MIDNIGHT - 15 * DAY),
    ("lead and minimum meet", LEAST + 14 * DAY, RECEIVED, LEAST),
    ("lead wins by a day", LEAST + 15 * DAY, RECEIVED, LEAST + DAY),
    ("minimum wins by a quarter of an hour", LEAST + 15 * DAY - QUARTER, RECEIVED, LEAST),
    ("minimum wins over a time before it", RECEIVED + DAY, RECEIVED, LEAST),
    ("received at midnight", RECEIVED + DAY, LEAST, LEAST + 3 * DAY),
    ("received just after midnight", RECEIVED + DAY, LEAST + TICK, LEAST + 4 * DAY),
    ("lead on the day of the cut-off", CUT_OFF + 14 * DAY - QUARTER, RECEIVED, CUT_OFF - DAY + TICK),
    ("cut-off wins over the lead", CUT_OFF + 14 * DAY + TICK, RECEIVED, CUT_OFF),
    ("cut-off wins over the minimum", CUT_OFF + DAY, CUT_OFF - DAY, CUT_OFF),
    ("minimum meets the cut-off", CUT_OFF, CUT_OFF - 3 * DAY, CUT_OFF),
    ("received exactly at the cut-off", CUT_OFF + DAY, CUT_OFF, CUT_OFF),
    ("blank", None, RECEIVED, CUT_OFF),
    ("blank, received at the cut-off", None, CUT_OFF, CUT_OFF),
]


@pytest.mark.parametrize(
    ("time", "received", "expected"), [row[1:] for row in ANSWER_BY], ids=[row[0] for row in ANSWER_BY]
)
def test_answer_by(time: Instant | None, received: Instant, expected: Instant) -> None:
    """answer_by = min(cut-off, max(T - lone_lead, receipt + answer_min)), by whole days; blank: the cut-off (R3-6)."""
    outcome = planned(instruct(GAS, time, at=received))
    assert (outcome.basis, outcome.answer_by) == (WAIT, expected)


def test_wait_ends_with_the_answer_by_of_the_present_instruction() -> None:
    """A tick's finding closes that answer_by and earlier ones, no later one."""
    lone = instruct(ELEC, LATE)
    by = MIDNIGHT - 14 * DAY
    assert planned(lone, closed=by - TICK).basis is WAIT
    assert planned(lone, closed=by).basis is STATED
    assert planned(lone, closed=by).answer_by is None
    amended = instruct(ELEC, LATE + 10 * DAY, seq=2, at=by + DAY)
    reopened = planned(lone, amended, closed=by)
    assert (reopened.basis, reopened.answer_by) == (WAIT, by + 10 * DAY)


def test_other_party_may_answer_after_answer_by() -> None:
    """Silence counts as electing not to send, but does not shut the Party out: both times count again."""
    by = EARLY - 14 * DAY
    first = answer(ELEC, "early")
    second = answer(GAS, "late", at=by + DAY)
    assert planned(first, closed=by).activate_at == EARLY
    assert planned(first, second, closed=by).activate_at == LATE
    gone = planned(first, second, answer(GAS, "withdraw", seq=2, at=by + 2 * DAY), closed=by)
    assert (gone.basis, gone.activate_at) == (STATED, EARLY)


@pytest.mark.parametrize(
    ("new_d", "expected"),
    [(LATE + TICK, LATE), (LATE, LATE), (LATE - TICK, LATE - TICK), (EARLY, EARLY), (EARLY - DAY, EARLY - DAY)],
    ids=["just after", "equal", "just before", "at the earlier", "before both"],
)
def test_date_brought_forward_moves_later_times_to_d(new_d: Instant, expected: Instant) -> None:
    """Accepted instructions stand, and a time at or after the new D becomes the new D (R3-1)."""
    terms = VOLUNTARY._replace(automatic_date=new_d)
    outcome = planned(answer(ELEC, "early"), answer(GAS, "late"), terms=terms)
    assert (outcome.basis, outcome.activate_at, outcome.proposed_at) == (STATED, expected, expected)


def test_date_brought_forward_shortens_the_wait() -> None:
    """answer_by never passes the new cut-off, even if that lies before the receipt."""
    near = VOLUNTARY._replace(automatic_date=RECEIVED + 20 * DAY)
    outcome = planned(answer(ELEC, "late"), terms=near)
    assert outcome.answer_by == near.cut_off < RECEIVED
    assert outcome.activate_at == near.automatic_date


def test_date_delayed_gives_back_the_stated_time_and_reopens() -> None:
    """A time that had become D is itself again, and an answer_by that the old cut-off had cut grows."""
    beyond = instruct(ELEC, D + DAY)
    assert planned(beyond, closed=CUT_OFF).activate_at == D
    later = VOLUNTARY._replace(automatic_date=parse_instant("2027-05-31T12:00:00Z"))
    outcome = planned(beyond, terms=later, closed=CUT_OFF)
    assert (outcome.basis, outcome.activate_at) == (WAIT, D + DAY)
    assert outcome.answer_by == (D + DAY - 14 * DAY).replace(hour=0)


def test_agreement_is_not_moved_by_the_other() -> None:
    """Agree states the time that was shown; the other's later amendment does not take it along (A-9)."""
    shown = planned(answer(ELEC, "early")).proposed_at
    agreed = Answer(GAS, 1, AnswerKind.AGREE, Group.SAFE_LAUNCH, RECEIVED + DAY, shown)
    assert planned(answer(ELEC, "early"), agreed).activate_at == EARLY
    sooner = instruct(ELEC, EARLY - 5 * DAY, seq=2)
    assert planned(answer(ELEC, "early"), agreed, sooner).activate_at == EARLY
    assert planned(answer(ELEC, "early"), agreed, answer(ELEC, "late", seq=2)).activate_at == LATE


def test_decline_replaced_by_an_instruction() -> None:
    """A decline is no instruction and the Party's newer one replaces it."""
    first, declined = answer(ELEC, "early"), answer(GAS, "decline")
    assert planned(first, declined).activate_at == EARLY
    assert planned(first, declined, answer(GAS, "late", seq=2)).activate_at == LATE


def test_withdrawals_after_both_instructed_apply_the_table_again() -> None:
    """Both instructed, then one withdraws, then the other."""
    history = [answer(ELEC, "early"), answer(GAS, "late"), answer(GAS, "withdraw", seq=2)]
    one_left = planned(*history)
    assert (one_left.basis, one_left.activate_at, one_left.proposed_at) == (WAIT, EARLY, EARLY)
    none_left = planned(*history, answer(ELEC, "withdraw", seq=2))
    assert (none_left.basis, none_left.activate_at, none_left.proposed_at) == (AUTO, D, None)
    assert none_left.lapsed == ()


def test_time_of_a_decline_or_withdrawal_means_nothing() -> None:
    """Only an instruction states a time."""
    noise = Answer(GAS, 1, AnswerKind.DECLINE, Group.PILOT, RECEIVED, LATE)
    outcome = planned(answer(ELEC, "early"), noise)
    assert (outcome.activate_at, outcome.proposed_at, outcome.pilot) == (EARLY, EARLY, False)


def test_one_pilot_list_puts_the_hub_into_the_pilot() -> None:
    """Any Party's pilot list names it; the other Party's instruction counts whichever group it names (R2-4)."""
    listed = answer(ELEC, "early", group=Group.PILOT)
    assert planned(listed, answer(GAS, "late")).pilot
    assert planned(listed, answer(GAS, "late")).activate_at == LATE
    assert not planned(listed, answer(ELEC, "early", seq=2), answer(GAS, "late")).pilot
    assert not planned(listed, by=NOBODY).pilot


CHANGE = parse_instant("2026-11-15T00:00:00Z")


def test_leaver_lapses_and_the_joiner_is_waited_for() -> None:
    """An instruction counts only while its Party is responsible; its holder is named for telling."""
    answers = (answer(ELEC, "early"), answer(GAS, "late"))
    outcome = planned(*answers, by=(IMPORT, supplier(NEXT, Role.GAS_SUPPLIER, CHANGE)))
    assert (outcome.basis, outcome.activate_at) == (WAIT, EARLY)
    assert outcome.lapsed == (GAS,)
    assert [a.party for a in outcome.counting] == [ELEC]


def test_both_leave() -> None:
    """Nobody present has answered: D."""
    newcomers = (supplier(NEXT, Role.IMPORT_SUPPLIER, CHANGE), supplier(NEXT, Role.GAS_SUPPLIER, CHANGE))
    outcome = planned(answer(ELEC, "early"), answer(GAS, "late"), by=newcomers)
    assert (outcome.basis, outcome.activate_at, outcome.lapsed) == (AUTO, D, (ELEC, GAS))


def test_joiner_equal_to_stayer_is_one_party() -> None:
    """The Import Supplier takes over gas as well: its instruction suffices now (R3-2)."""
    merged = (IMPORT, supplier(ELEC, Role.GAS_SUPPLIER, CHANGE))
    assert planned(answer(ELEC, "early")).basis is WAIT
    assert (planned(answer(ELEC, "early"), by=merged).basis, planned(by=merged).basis) == (STATED, AUTO)
    assert planned(answer(GAS, "late"), by=merged).lapsed == (GAS,)


@pytest.mark.parametrize("kept", [Role.IMPORT_SUPPLIER, Role.GAS_SUPPLIER])
def test_party_that_keeps_one_role_keeps_its_consent(kept: Role) -> None:
    """One Party had both roles and gives one up: its consent stands, the joiner is asked."""
    given_up = Role.GAS_SUPPLIER if kept is Role.IMPORT_SUPPLIER else Role.IMPORT_SUPPLIER
    outcome = planned(answer(ELEC, "early"), by=(supplier(ELEC, kept), supplier(NEXT, given_up, CHANGE)))
    assert (outcome.basis, outcome.activate_at, outcome.lapsed) == (WAIT, EARLY, ())


def test_earliest_start_of_the_present_roles_counts() -> None:
    """A second role taken on later does not shorten the period, whichever is listed first."""
    roles = (supplier(ELEC, Role.GAS_SUPPLIER, CHANGE), IMPORT)
    for by in (roles, roles[::-1]):
        assert planned(answer(ELEC, "early"), by=by).basis is STATED
    assert planned(answer(ELEC, "early"), by=roles[:1]).basis is AUTO


@pytest.mark.parametrize(
    ("offset", "basis"), [(-TICK, AUTO), (timedelta(0), STATED), (TICK, STATED)], ids=["before", "at", "after"]
)
def test_answer_at_the_start_of_the_period_counts(offset: timedelta, basis: Basis) -> None:
    """Accepted exactly when responsibility starts is within it."""
    outcome = planned(answer(ELEC, "early", at=CHANGE + offset), by=(supplier(ELEC, Role.GAS_SUPPLIER, CHANGE),))
    assert outcome.basis is basis
    assert outcome.lapsed == ((ELEC,) if basis is AUTO else ())


def test_party_that_comes_back_must_answer_again() -> None:
    """An answer from an earlier period of responsibility does not revive."""
    back = (IMPORT, supplier(GAS, Role.GAS_SUPPLIER, CHANGE))
    first, old = answer(ELEC, "early"), answer(GAS, "late")
    assert planned(first, old, by=back).basis is WAIT
    assert planned(first, old, by=back).lapsed == (GAS,)
    again = planned(first, old, answer(GAS, "blank", seq=2, at=CHANGE + DAY), by=back)
    assert (again.basis, again.activate_at, again.lapsed) == (STATED, EARLY, ())


def test_old_decline_of_a_party_that_came_back_does_not_count() -> None:
    """It is silent again; having held no instruction, it has lost none."""
    back = (IMPORT, supplier(GAS, Role.GAS_SUPPLIER, CHANGE))
    outcome = planned(answer(ELEC, "early"), answer(GAS, "decline"), by=back)
    assert (outcome.basis, outcome.lapsed) == (WAIT, ())


def test_newest_answer_of_each_party() -> None:
    """The greatest party_seq wins, per Party, in a fixed order."""
    old, new, other = answer(GAS, "early"), answer(GAS, "late", seq=2), answer(ELEC, "blank", seq=9)
    assert newer(None, old) == old
    assert newer(old, new) == newer(new, old) == new
    assert latest([new, other, old]) == (other, new)
