"""How the places of a pilot are shared out among the Parties (G-2): by their hubs, once, at the notice."""

from collections.abc import Mapping

from chfw_common.kernel.ids import PartyId

OF_A_NEWCOMER = 1
"""Places of a Party that answered for no hub of the release when it was announced."""


def share_out(cap: int, hubs: Mapping[PartyId, int]) -> dict[PartyId, int]:
    """The places of each Party that answers for hubs of the release; `hubs` says for how many.

    Everybody has one; the rest goes by the number of hubs, rounded down, and nobody has more places than hubs. All
    together have at most `cap`, while there are not more Parties than that. A hub of two Parties counts for both. So a
    Party's number depends on its own hubs and on two sums over everybody: how many Parties there are, and how many
    pairs of a hub and a Party.
    """
    owners = {party: count for party, count in hubs.items() if count > 0}
    pairs, spare = sum(owners.values()), max(0, cap - len(owners))
    return {party: min(count, 1 + spare * count // pairs) for party, count in owners.items()}


def places_of(places: Mapping[PartyId, int], party: PartyId) -> int:
    """How many hubs a Party may name for the pilot."""
    return places.get(party, OF_A_NEWCOMER)
