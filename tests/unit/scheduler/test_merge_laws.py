"""The laws of consent: a second statement of the table over every small case, and what holds for any history.

The oracle below is written from REQUIREMENTS alone, in words rather than in sets, so that a slip in one of
the two shows (I19). The laws are those of I3 and of the bounds on a planned time.
"""

from datetime import timedelta
from itertools import product
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.hubs import Responsibility
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.instants import Instant, parse_instant
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import AnswerKind, Group, Rule
from chfw_scheduler.domain.merge import Answer, Basis, Plan, Terms, newer, plan

D = parse_instant("2027-03-31T12:00:00Z")
START = parse_instant("2026-10-01T00:00:00Z")
RECEIVED = parse_instant("2026-11-01T09:00:00Z")
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
ELEC, GAS, NEXT = PartyId("elec"), PartyId("gas"), PartyId("next")
PARTIES = (ELEC, GAS, NEXT)
STATES = {
    "early": RECEIVED + 10 * DAY,
    "agree": RECEIVED + 30 * DAY,
    "late": RECEIVED + 60 * DAY,
    "blank": None,
}
SAYINGS = ("silent", *STATES, "decline", "withdraw")
KINDS = {
    "agree": AnswerKind.AGREE,
    "decline": AnswerKind.DECLINE,
    "withdraw": AnswerKind.WITHDRAW,
}


class Expected(NamedTuple):
    basis: str
    activate_at: Instant | None
    answer_by: Instant | None = None


def by_the_table(one: str, two: str, rule: str, d: Instant, month_before_d: Instant, closed: Instant) -> Expected:
    """The table of REQUIREMENTS for two Parties, as a person would look it up."""
    if one in STATES and two in STATES:
        return consented([STATES[one], STATES[two]], d)
    if one not in STATES and two not in STATES:
        return Expected("automatic", d)
    lone, other = (one, two) if one in STATES else (two, one)
    if rule == "mandatory":
        return Expected("waiting", d)
    if other == "decline":
        return consented([STATES[lone]], d)
    time = STATES[lone]
    deadline = month_before_d
    if time is not None:
        time = min(time, d)
        # Whole days: the midnight before the wish, the midnight after the least.
        wish = (time - 14 * DAY).replace(hour=0, minute=0, second=0, microsecond=0)
        least = parse_instant("2026-11-05T00:00:00Z")
        deadline = max(least, wish)
        deadline = min(deadline, month_before_d)
    if closed < deadline:
        return Expected("waiting", time, deadline)
    return consented([time], d)


def consented(times: list[Instant | None], d: Instant) -> Expected:
    """Latest of the stated times, D at most; none stated: as soon as possible."""
    stated = sorted(min(time, d) for time in times if time is not None)
    return Expected("stated", stated[-1]) if stated else Expected("asap", None)


def by_the_table_alone(one: str, d: Instant) -> Expected:
    return consented([STATES[one]], d) if one in STATES else Expected("automatic", d)


def says(party: PartyId, saying: str) -> list[Answer]:
    if saying == "silent":
        return []
    kind = KINDS.get(saying, AnswerKind.INSTRUCT)
    return [Answer(party, 1, kind, Group.SAFE_LAUNCH, RECEIVED, STATES.get(saying))]


def supplier(party: PartyId, role: Role, since: Instant = START) -> Responsibility:
    return Responsibility(party=party, user_id=UserId(f"{party}-{role}"), role=role, since=since)


def terms_of(rule: Rule, d: Instant = D) -> Terms:
    return Terms(rule=rule, automatic_date=d, lone_lead=14 * DAY, answer_min=3 * DAY)


def seen(outcome: Plan) -> Expected:
    return Expected(str(outcome.basis), outcome.activate_at, outcome.answer_by)


# D as first set, and brought forward: to between the times, to before all, and so far that the cut-off is past.
DATES = {
    D: parse_instant("2027-02-28T23:59:59.999999Z"),
    parse_instant("2026-12-20T00:00:00Z"): parse_instant("2026-11-20T00:00:00Z"),
    parse_instant("2026-12-03T00:00:00Z"): parse_instant("2026-11-03T00:00:00Z"),
    parse_instant("2026-11-05T00:00:00Z"): parse_instant("2026-10-05T00:00:00Z"),
}
# Whatever an answer_by can be here, a microsecond either side of it, and instants before and after all of them.
DEADLINES = {
    RECEIVED + 3 * DAY,
    *(time - 14 * DAY for time in STATES.values() if time is not None),
    *DATES.values(),
    *(d - 14 * DAY for d in DATES),
}
DEADLINES |= {at.replace(hour=0, minute=0) + n * DAY for at in DEADLINES for n in (0, 1)}
CLOSED = sorted({START - 365 * DAY, D} | {at + step for at in DEADLINES for step in (-TICK, 0 * TICK, TICK)})
PERIODS = {"since long": START, "since receipt": RECEIVED, "since after": RECEIVED + TICK}


@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize("d", DATES, ids=lambda d: f"{d:%Y-%m-%d}")
def test_every_small_case_of_two_parties(rule: Rule, d: Instant) -> None:
    """All pairs of answers x every boundary of answer_by, against the second statement of the table (I19)."""
    suppliers = (supplier(ELEC, Role.IMPORT_SUPPLIER), supplier(GAS, Role.GAS_SUPPLIER))
    for one, two, closed in product(SAYINGS, SAYINGS, CLOSED):
        answers = [*says(ELEC, one), *says(GAS, two)]
        outcome = plan(answers, suppliers, terms=terms_of(rule, d), answer_closed=closed)
        assert seen(outcome) == by_the_table(one, two, rule, d, DATES[d], closed), (one, two, closed)
        assert outcome.lapsed == ()


@pytest.mark.parametrize("rule", Rule)
def test_every_small_case_of_periods(rule: Rule) -> None:
    """An answer from before the period counts as silence, and its instruction as lapsed."""
    for one, two, first, second, closed in product(SAYINGS, SAYINGS, PERIODS, PERIODS, (START, D)):
        suppliers = (
            supplier(ELEC, Role.IMPORT_SUPPLIER, PERIODS[first]),
            supplier(GAS, Role.GAS_SUPPLIER, PERIODS[second]),
        )
        answers = [*says(ELEC, one), *says(GAS, two)]
        outcome = plan(answers, suppliers, terms=terms_of(rule), answer_closed=closed)
        left = "silent" if first == "since after" else one
        right = "silent" if second == "since after" else two
        case = (one, two, first, second, closed)
        assert seen(outcome) == by_the_table(left, right, rule, D, DATES[D], closed), case
        lost = [(ELEC, one, first), (GAS, two, second)]
        assert outcome.lapsed == tuple(p for p, s, at in lost if s in STATES and at == "since after"), case


@pytest.mark.parametrize("roles", [(Role.IMPORT_SUPPLIER,), (Role.GAS_SUPPLIER, Role.IMPORT_SUPPLIER)], ids=len)
def test_every_small_case_of_one_party(roles: tuple[Role, ...]) -> None:
    """One Party in one role or both; what anybody else once answered does not matter (R3-2)."""
    suppliers = tuple(supplier(ELEC, role) for role in roles)
    for one, former, rule, d, closed in product(SAYINGS, SAYINGS, Rule, DATES, (None, START, D)):
        answers = [*says(GAS, former), *says(ELEC, one)]
        outcome = plan(answers, suppliers, terms=terms_of(rule, d), answer_closed=closed)
        assert seen(outcome) == by_the_table_alone(one, d), (one, former, rule, d, closed)
        assert outcome.lapsed == ((GAS,) if former in STATES else ())


def hours(most: int) -> st.SearchStrategy[timedelta]:
    return st.integers(min_value=0, max_value=most).map(lambda n: timedelta(hours=n))


instants = hours(24 * 240).map(lambda step: START + step)
answers_of = {
    party: st.builds(
        Answer,
        party=st.just(party),
        party_seq=st.integers(min_value=1, max_value=6),  # few, so that one number comes with several contents
        kind=st.sampled_from(AnswerKind),
        group=st.sampled_from(Group),
        received_at=instants,
        activate_at=st.none() | instants,
    )
    for party in PARTIES
}
histories = st.lists(st.one_of(*answers_of.values()), max_size=12)
responsibilities = st.builds(
    lambda held: tuple(supplier(party, role, since) for role, (party, since) in held.items()),
    st.dictionaries(
        st.sampled_from([Role.IMPORT_SUPPLIER, Role.GAS_SUPPLIER]),
        st.tuples(st.sampled_from(PARTIES), st.just(START) | instants),
    ),
)
any_terms = st.builds(
    Terms,
    rule=st.sampled_from(Rule),
    automatic_date=instants,
    lone_lead=hours(24 * 40),
    answer_min=hours(24 * 10),
    pilot_opens=st.none() | instants,
    opens=st.none() | instants,
)
closings = st.none() | instants
one_answer = answers_of[ELEC]


def folded(history: list[Answer]) -> list[Answer]:
    """What the ledger holds after the answers came in one by one."""
    slots: dict[PartyId, Answer] = {}
    for answer in history:
        slots[answer.party] = newer(slots.get(answer.party), answer)
    return list(slots.values())


@given(one_answer, one_answer, one_answer)
def test_newer_is_a_join(a: Answer, b: Answer, c: Answer) -> None:
    """Commutative, associative, idempotent, also for one number with two contents; None is its unit (I3)."""
    assert newer(a, b) == newer(b, a)
    assert newer(newer(a, b), c) == newer(a, newer(b, c))
    assert newer(a, a) == newer(None, a) == a
    assert newer(a, b) in (a, b)
    assert newer(a, b).party_seq == max(a.party_seq, b.party_seq)


def test_one_number_with_two_contents_is_settled_alike_everywhere() -> None:
    """Whichever comes first, for every pair that differs in any way (I3; F11 of the fault matrix)."""
    times = (None, RECEIVED, RECEIVED - DAY, RECEIVED + DAY)
    receipts = (RECEIVED, RECEIVED + DAY)
    twins = [Answer(ELEC, 1, *content) for content in product(AnswerKind, Group, receipts, times)]
    for one, two in product(twins, twins):
        assert newer(one, two) == newer(two, one), (one, two)


@given(st.data(), histories, responsibilities, any_terms, closings)
def test_order_and_repeats_never_matter(
    data: st.DataObject,
    history: list[Answer],
    suppliers: tuple[Responsibility, ...],
    terms: Terms,
    closed: Instant | None,
) -> None:
    """Any order with any repeats, whole or folded, gives the same plan, and so do the Suppliers' roles
    (I3)."""
    repeats = data.draw(st.lists(st.sampled_from(history), max_size=6) if history else st.just([]))
    shuffled = data.draw(st.permutations([*history, *repeats]))
    first = plan(history, suppliers, terms=terms, answer_closed=closed)
    assert plan(shuffled, suppliers, terms=terms, answer_closed=closed) == first
    assert plan(folded(shuffled), suppliers[::-1], terms=terms, answer_closed=closed) == first


@given(histories, responsibilities, any_terms, closings)
def test_bounds_of_the_planned_time(
    history: list[Answer], suppliers: tuple[Responsibility, ...], terms: Terms, closed: Instant | None
) -> None:
    """Never later than D, never earlier than a stated time that counts or than the opening of the hub's group, and
    answer_by never after the cut-off."""
    outcome = plan(history, suppliers, terms=terms, answer_closed=closed)
    stated = [a.activate_at for a in outcome.counting if a.instructs and a.activate_at is not None]
    assert (outcome.proposed_at is None) == (not stated)
    if outcome.activate_at is None:
        assert not stated
        assert outcome.basis in {Basis.ASAP, Basis.WAITING}
    else:
        opens = [at for at in (terms.pilot_opens if outcome.pilot else terms.opens,) if at is not None]
        assert outcome.activate_at <= terms.automatic_date
        assert all(outcome.activate_at >= min(time, terms.automatic_date) for time in [*stated, *opens])
    assert outcome.opens == (terms.pilot_opens if outcome.pilot else terms.opens)
    assert (outcome.answer_by is not None) == (outcome.basis is Basis.WAITING and terms.rule is Rule.VOLUNTARY)
    assert outcome.answer_by is None or outcome.answer_by <= terms.cut_off


@given(histories, responsibilities, any_terms, closings)
def test_complete_only_as_the_table_allows(
    history: list[Answer], suppliers: tuple[Responsibility, ...], terms: Terms, closed: Instant | None
) -> None:
    """Complete: somebody instructed, and every other Party did, or declined, or let answer_by pass (R3-3)."""
    outcome = plan(history, suppliers, terms=terms, answer_closed=closed)
    if not outcome.complete:
        return
    kinds = {a.party: a.kind for a in outcome.counting}
    instructed = {a.party for a in outcome.counting if a.instructs}
    assert instructed
    for party in {one.party for one in suppliers} - instructed:
        assert terms.rule is Rule.VOLUNTARY
        assert kinds.get(party) is AnswerKind.DECLINE or closed is not None


@given(histories, responsibilities, any_terms, closings)
def test_only_present_parties_and_their_periods_count(
    history: list[Answer], suppliers: tuple[Responsibility, ...], terms: Terms, closed: Instant | None
) -> None:
    """Taking away what does not count changes nothing but the list of lapsed instructions."""
    outcome = plan(history, suppliers, terms=terms, answer_closed=closed)
    for answer in outcome.counting:
        assert any(one.party == answer.party and one.since <= answer.received_at for one in suppliers)
    again = plan(outcome.counting, suppliers, terms=terms, answer_closed=closed)
    assert again == outcome._replace(lapsed=())


@given(histories, responsibilities, any_terms, closings)
def test_one_party_never_waits(
    history: list[Answer], suppliers: tuple[Responsibility, ...], terms: Terms, closed: Instant | None
) -> None:
    """One Supplier, or one Party in both roles (R3-2)."""
    alone = tuple(one._replace(party=ELEC) for one in suppliers)
    assert plan(history, alone, terms=terms, answer_closed=closed).basis is not Basis.WAITING


@given(histories, responsibilities, any_terms, closings)
def test_symmetric_in_the_parties(
    history: list[Answer], suppliers: tuple[Responsibility, ...], terms: Terms, closed: Instant | None
) -> None:
    """Neither Party, nor role, has precedence: exchanging names and roles changes no time."""
    other = {ELEC: GAS, GAS: ELEC, NEXT: NEXT}
    role = {Role.IMPORT_SUPPLIER: Role.GAS_SUPPLIER, Role.GAS_SUPPLIER: Role.IMPORT_SUPPLIER}
    mirrored = plan(
        [a._replace(party=other[a.party]) for a in history],
        [one._replace(party=other[one.party], role=role[one.role]) for one in suppliers],
        terms=terms,
        answer_closed=closed,
    )
    outcome = plan(history, suppliers, terms=terms, answer_closed=closed)
    assert (*seen(mirrored), mirrored.proposed_at) == (*seen(outcome), outcome.proposed_at)
    assert set(mirrored.lapsed) == {other[party] for party in outcome.lapsed}


@given(histories, responsibilities, any_terms, closings)
def test_a_tick_only_ever_ends_the_wait(
    history: list[Answer], suppliers: tuple[Responsibility, ...], terms: Terms, closed: Instant | None
) -> None:
    """Writing down that the shown answer_by has passed completes the consent and moves no time."""
    outcome = plan(history, suppliers, terms=terms, answer_closed=closed)
    after = plan(history, suppliers, terms=terms, answer_closed=outcome.answer_by or closed)
    if outcome.answer_by is None:
        assert after == outcome
    else:
        assert after.complete
        assert (after.activate_at, after.proposed_at) == (outcome.activate_at, outcome.proposed_at)
