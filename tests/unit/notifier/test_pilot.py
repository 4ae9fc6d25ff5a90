"""A pilot chosen by rules: the size, the strata, and the same answer for the same seed (R2-3)."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.ids import HubId
from chfw_notifier.domain.pilot import Candidate, Count, Rules, Stratum, allocate, choose, how_many

strata = st.builds(Stratum, st.sampled_from("ABC"), st.sampled_from(("north", "south")), st.booleans())
candidates = st.lists(
    st.builds(Candidate, st.integers(-(1 << 63), (1 << 63) - 1).map(HubId), strata), unique_by=lambda one: one.hub
)
shares = st.none() | st.fractions(0, 1)
rules = st.builds(
    Rules, seed=st.text(max_size=5), share=shares, size=st.none() | st.integers(0, 60), stratified=st.booleans()
)
sizes = st.dictionaries(strata, st.integers(1, 500), min_size=1)


@given(candidates, rules)
def test_so_many_as_the_rules_say_and_none_but_candidates(found: list[Candidate], wanted: Rules) -> None:
    choice = choose(found, wanted)
    assert len(choice.hubs) == len(set(choice.hubs)) == how_many(len(found), wanted)
    assert set(choice.hubs) <= {one.hub for one in found}
    if wanted.size is not None:
        assert len(choice.hubs) <= wanted.size
    assert list(choice.hubs) == sorted(choice.hubs)


@given(candidates, rules)
def test_a_choice_by_strata_misses_none_when_there_are_places_for_all(found: list[Candidate], wanted: Rules) -> None:
    choice = choose(found, Rules(wanted.seed, wanted.share, wanted.size, stratified=True))
    if len(choice.hubs) >= len({one.stratum for one in found}):
        assert all(count.chosen for count in choice.counts)
        assert choice.represented == 1.0
    else:
        assert max((count.chosen for count in choice.counts), default=0) <= 1


@given(st.data(), candidates, rules)
def test_the_order_of_the_rows_makes_no_difference(data: st.DataObject, found: list[Candidate], wanted: Rules) -> None:
    shuffled = data.draw(st.permutations(found))
    assert choose(shuffled, wanted) == choose(found, wanted) == choose([*found, *found], wanted)


@given(candidates, rules)
def test_the_counts_are_those_of_the_hubs(found: list[Candidate], wanted: Rules) -> None:
    choice = choose(found, wanted)
    stratum = {one.hub: one.stratum for one in found}
    whole, part = Counter(stratum.values()), Counter(stratum[hub] for hub in choice.hubs)
    assert choice.counts == tuple(Count(one, whole[one], part[one]) for one in sorted(whole))
    assert 0 <= choice.represented <= 1
    assert 0 <= choice.similarity <= 1


@given(candidates)
def test_all_of_them_stand_for_the_whole(found: list[Candidate]) -> None:
    choice = choose(found, Rules("s"))
    assert (choice.represented, choice.similarity) == (1.0, 1.0)


@given(sizes, st.integers(0, 2_000))
def test_places_are_shared_out_in_full_and_near_the_quota(found: dict[Stratum, int], size: int) -> None:
    places = allocate(found, size)
    total = sum(found.values())
    assert sum(places.values()) == min(size, total)
    assert all(0 <= places[stratum] <= hubs for stratum, hubs in found.items())
    quotas = {stratum: Fraction(hubs * min(size, total), total) for stratum, hubs in found.items()}
    if min(quotas.values()) >= 1:
        assert all(abs(places[stratum] - quota) < 1 for stratum, quota in quotas.items())


def test_another_seed_chooses_other_hubs_and_one_hub_more_changes_one() -> None:
    found = [Candidate(HubId(n), Stratum("A", "north", second_supplier=False)) for n in range(1_000)]
    one = set(choose(found, Rules("1", size=100)).hubs)
    other = set(choose(found, Rules("2", size=100)).hubs)
    more = set(choose([*found, Candidate(HubId(-7), found[0].stratum)], Rules("1", size=100)).hubs)
    assert len(one & other) < 30
    assert len(one - more) <= 1


@pytest.mark.parametrize(
    ("share", "size", "expected"),
    [(None, None, 101), (Fraction(1, 10), None, 11), (Fraction(1, 10), 5, 5), (Fraction(1, 2), 300, 51), (None, 0, 0)],
)
def test_share_and_size(share: Fraction | None, size: int | None, expected: int) -> None:
    assert how_many(101, Rules("s", share, size)) == expected


def test_the_least_of_one_is_taken_from_the_richest() -> None:
    large, small, tiny = (Stratum(name, "north", second_supplier=False) for name in "ABC")
    assert allocate({large: 98, small: 1, tiny: 1}, 10) == {large: 8, small: 1, tiny: 1}
    assert allocate({large: 50, small: 30, tiny: 20}, 10) == {large: 5, small: 3, tiny: 2}
    assert allocate({large: 50, small: 30, tiny: 20}, 2) == {large: 1, small: 1, tiny: 0}


def test_a_choice_of_one_stratum_stands_for_half() -> None:
    north, south = (Stratum("A", region, second_supplier=False) for region in ("north", "south"))
    found = [Candidate(HubId(n), north if n < 50 else south) for n in range(100)]
    choice = choose(found, Rules("s", size=1))
    assert (choice.represented, choice.similarity) == (0.5, 0.5)
    assert choose(found, Rules("s", size=0)).similarity == 0.0
