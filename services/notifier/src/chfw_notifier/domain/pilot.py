"""Choosing a pilot by rules (R2-3): so many hubs, from these regions and models, by lot or stratum by stratum.

The lot is a hash of the seed and the hub. So the same seed chooses the same hubs, in whatever order they come, and a
hub that joins or leaves the list changes little else.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from hashlib import blake2b
from typing import NamedTuple

from chfw_common.kernel.ids import HubId, hub_hex


class Stratum(NamedTuple):
    """Hubs that are alike for a pilot. Of a second Supplier only that there is one."""

    model: str
    region: str
    second_supplier: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A hub that may be chosen."""

    hub: HubId
    stratum: Stratum


@dataclass(frozen=True, slots=True)
class Rules:
    """How many, and how. Where share and size are both stated, the smaller number counts; without either, all."""

    seed: str
    share: Fraction | None = None
    size: int | None = None
    stratified: bool = True


@dataclass(frozen=True, slots=True)
class Count:
    """A stratum: how many hubs it has, and how many of them were chosen."""

    stratum: Stratum
    hubs: int
    chosen: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The hubs chosen, in the order of their ids, and how well they stand for the whole.

    `represented` is the share of the strata of which at least one hub was chosen. `similarity` is 1 minus the total
    variation distance between the strata's shares in the choice and in the whole: half the sum of the differences.
    Both are 1 when everything is chosen, and when there was nothing to choose from; `similarity` is 0 when nothing was
    chosen though there was something.
    """

    hubs: tuple[HubId, ...]
    counts: tuple[Count, ...]
    represented: float
    similarity: float


def choose(candidates: Iterable[Candidate], rules: Rules) -> Choice:
    """Choose hubs by rules; a hub that is named twice counts once."""
    known = {candidate.hub: candidate.stratum for candidate in candidates}
    wanted = how_many(len(known), rules)
    lots = sorted(known, key=lambda hub: (_lot(rules.seed, hub), hub))
    if rules.stratified:
        places = allocate(Counter(known.values()), wanted)
        chosen = []
        for hub in lots:
            if places[known[hub]]:
                places[known[hub]] -= 1
                chosen.append(hub)
    else:
        chosen = lots[:wanted]
    return _weigh(known, chosen)


def how_many(hubs: int, rules: Rules) -> int:
    """The number of hubs to choose. A share is rounded up, so that a small one is not nothing."""
    by_share = hubs if rules.share is None else -(-hubs * rules.share.numerator // rules.share.denominator)
    return min(hubs, by_share, hubs if rules.size is None else rules.size)


def allocate(strata: Mapping[Stratum, int], size: int) -> dict[Stratum, int]:
    """Places by largest remainder, at least one for each stratum while there are enough, never more than it has.

    When there are fewer places than strata, the largest strata get one each.
    """
    ordered = sorted(strata, key=lambda stratum: (-strata[stratum], stratum))
    if size <= len(ordered):
        return {stratum: int(rank < size) for rank, stratum in enumerate(ordered)}
    total = sum(strata.values())
    size = min(size, total)
    quotas = {stratum: Fraction(strata[stratum] * size, total) for stratum in ordered}
    places = {stratum: max(1, int(quota)) for stratum, quota in quotas.items()}
    left = size - sum(places.values())
    by_remainder = sorted(ordered, key=lambda stratum: (places[stratum] - quotas[stratum], stratum))
    for stratum in by_remainder[: max(left, 0)]:
        places[stratum] += 1
    _give_back(places, quotas, -left)
    return places


def _give_back(places: dict[Stratum, int], quotas: Mapping[Stratum, Fraction], over: int) -> None:
    """Take places that the least of one gave away from those that are furthest above their quota, and keep one."""
    for _ in range(over):
        richest = max((s for s in places if places[s] > 1), key=lambda s: (places[s] - quotas[s], places[s], s))
        places[richest] -= 1


def _lot(seed: str, hub: HubId) -> bytes:
    return blake2b(f"{seed}|{hub_hex(hub)}".encode(), digest_size=16).digest()


def _weigh(known: Mapping[HubId, Stratum], chosen: Collection[HubId]) -> Choice:
    whole, part = Counter(known.values()), Counter(known[hub] for hub in chosen)
    counts = tuple(Count(stratum, whole[stratum], part[stratum]) for stratum in sorted(whole))
    apart = sum(abs(Fraction(count.hubs, len(known)) - Fraction(count.chosen, max(1, len(chosen)))) for count in counts)
    return Choice(
        hubs=tuple(sorted(chosen)),
        counts=counts,
        represented=sum(count.chosen > 0 for count in counts) / len(counts) if counts else 1.0,
        similarity=float(1 - apart / 2) if chosen or not known else 0.0,
    )
