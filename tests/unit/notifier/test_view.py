"""What a Party sees of a hub says nothing of the other but that it exists and has instructed (R3-4, B-2)."""

import json
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from chfw_common.events.progressed import HubProgress
from chfw_common.kernel.ids import HubId, PartyId
from chfw_common.kernel.instants import parse_instant
from chfw_common.kernel.rollout import AnswerKind, HubState
from chfw_notifier.domain.view import parties_of, told_of, views_of

T = parse_instant("2026-12-01T02:00:00Z")
ELEC, GAS, GONE = PartyId("elec"), PartyId("gas"), PartyId("gone")
ITEM = HubProgress(
    hubs={HubId(1): 4},
    state=HubState.AWAITING_CONSENT,
    activate_at=T,
    answer_by=T - timedelta(days=14),
    proposed_at=T,
    answers={ELEC: AnswerKind.INSTRUCT, GAS: None},
    lapsed=(GONE,),
)

times = st.none() | st.integers(0, 400).map(lambda days: T + timedelta(days=days))
answers = st.none() | st.sampled_from(AnswerKind)
secrets = st.from_regex(r"secret-[0-9]{6}", fullmatch=True).map(PartyId)
items = st.builds(
    lambda other, own_answer, other_answer, lapsed, **rest: (
        other,
        HubProgress(answers={ELEC: own_answer, other: other_answer}, lapsed=(other, ELEC) if lapsed else (), **rest),
    ),
    secrets,
    answers,
    answers,
    st.booleans(),
    hubs=st.dictionaries(st.integers(0, 1 << 62).map(HubId), st.integers(1, 9), min_size=1),
    state=st.sampled_from(HubState),
    reason=st.none() | st.sampled_from(["no_image_held", "paused"]),
    activate_at=times,
    answer_by=times,
    proposed_at=times,
    pilot=st.booleans(),
)


def test_the_view_of_one_of_two() -> None:
    assert views_of(ITEM)[GAS] == {
        "state": "awaiting_consent",
        "reason": None,
        "activate_at": "2026-12-01T02:00:00Z",
        "answer_by": "2026-11-17T02:00:00Z",
        "proposed_at": "2026-12-01T02:00:00Z",
        "pilot": False,
        "wave": None,
        "answer": None,
        "lapsed": False,
        "second_supplier": True,
        "second_has_instructed": True,
    }


def test_a_former_supplier_learns_that_its_instruction_lapsed_and_no_more() -> None:
    assert views_of(ITEM)[GONE] == {"lapsed": True}
    assert set(views_of(ITEM)) == {ELEC, GAS, GONE}
    assert parties_of([ITEM]) == [ELEC, GAS, GONE]


@settings(deadline=None)
@given(items)
def test_no_text_of_the_other_party_gets_into_a_view(made: tuple[PartyId, HubProgress]) -> None:
    other, item = made
    shown = json.dumps(told_of([item], ())[ELEC])
    assert other not in shown
    assert "secret" not in shown


@settings(deadline=None)
@given(items, secrets, answers)
def test_who_the_other_is_makes_no_difference(
    made: tuple[PartyId, HubProgress], someone_else: PartyId, answer: AnswerKind | None
) -> None:
    """Any other Party with an answer of the same weight leads to the very same view."""
    other, item = made
    instructed = {AnswerKind.INSTRUCT, AnswerKind.AGREE}
    if (answer in instructed) != (item.answers[other] in instructed):
        answer = item.answers[other]
    swapped = item.model_copy(update={"answers": {someone_else: answer, ELEC: item.answers[ELEC]}})
    assert told_of([swapped], ())[ELEC] == told_of([item], ())[ELEC]


@settings(deadline=None)
@given(items, secrets, st.lists(st.booleans(), min_size=1, max_size=12))
def test_which_hubs_share_the_other_party_leaves_no_trace(
    made: tuple[PartyId, HubProgress], someone_else: PartyId, his: list[bool]
) -> None:
    """Hubs that differ in nothing but who the other Party is are told as one group, in the order of their ids."""
    other, item = made
    answers = {ELEC: item.answers[ELEC], someone_else: item.answers[other]}
    hubs = [(HubId(n), mine) for n, mine in enumerate(his)]
    first = item.model_copy(update={"hubs": {hub: 1 for hub, mine in hubs if mine}})
    second = item.model_copy(update={"hubs": {hub: 1 for hub, mine in hubs if not mine}, "answers": answers})
    whole = item.model_copy(update={"hubs": {hub: 1 for hub, _ in hubs}})
    assert told_of([second, first], ())[ELEC] == told_of([whole], ())[ELEC]


def test_only_the_party_whose_answer_came_too_late_hears_of_it() -> None:
    late = ITEM.model_copy(update={"too_late": (ELEC,)})
    assert parties_of([late]) == [ELEC]
    assert set(views_of(late)) == {ELEC}
    assert views_of(late)[ELEC] == {**views_of(ITEM)[ELEC], "reason": "too_late"}


def test_only_those_hear_of_an_item_whose_view_has_changed() -> None:
    changed = ITEM.model_copy(update={"news_for": (GAS,)})
    assert parties_of([changed]) == [GAS]
    assert list(told_of([changed], ())) == [GAS]
    assert list(told_of([ITEM], ())) == [ELEC, GAS]
