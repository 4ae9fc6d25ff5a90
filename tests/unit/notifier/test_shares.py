"""The places of a pilot, shared out among the Parties."""

from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.ids import PartyId
from chfw_notifier.domain.shares import places_of, share_out

A, B, C = map(PartyId, "abc")
HUBS = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3).map(PartyId), st.integers(0, 10**7), max_size=60)
CAPS = st.integers(1, 1_000)


def test_everybody_has_one_and_the_rest_goes_by_the_number_of_hubs() -> None:
    assert share_out(300, {A: 600, B: 300, C: 1}) == {A: 198, B: 99, C: 1}
    assert share_out(10, {A: 3, B: 1_000_000}) == {A: 1, B: 8}
    assert share_out(1, {A: 3, B: 5}) == {A: 1, B: 1}, "more Parties than places"
    assert share_out(300, {A: 0}) == {}
    assert places_of({A: 7}, A) == 7
    assert places_of({A: 7}, B) == 1


@given(CAPS, HUBS)
def test_all_together_have_no_more_than_the_cap_and_nobody_more_than_it_has_hubs(
    cap: int, hubs: dict[PartyId, int]
) -> None:
    places = share_out(cap, hubs)
    owners = {party for party, count in hubs.items() if count}
    assert set(places) == owners
    assert sum(places.values()) <= max(cap, len(owners))
    assert all(1 <= count <= hubs[party] for party, count in places.items())


@given(CAPS, HUBS, st.integers(1, 10**6), st.integers(0, 10**6))
def test_how_the_others_share_their_hubs_changes_nothing(
    cap: int, hubs: dict[PartyId, int], own: int, moved: int
) -> None:
    """Only two sums over everybody count: another pair of Parties with as many hubs together is the same to a Party."""
    first, second = PartyId("first"), PartyId("second")
    one = share_out(cap, {**hubs, A: own, first: moved + 1, second: 1})
    other = share_out(cap, {**hubs, A: own, first: 1, second: moved + 1})
    assert one[A] == other[A]
