"""How many hubs a notice fits: the rule of enrolment, asked before the notice goes out."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chfw_common.kernel.applicability import Image, Inapplicable, inapplicable
from chfw_common.kernel.hubs import HubRecord
from chfw_common.kernel.ids import PartyId


@dataclass(frozen=True, slots=True)
class Fit:
    """Of the hubs that have the manufacturer and the model of a notice, how many it fits, and why the others not.

    `parties`: for how many of the hubs that it fits each Party answers; a hub of two Parties counts for both.
    """

    hubs: int
    of_model: int
    unfit: dict[Inapplicable, int]
    parties: dict[PartyId, int]

    @property
    def sentence(self) -> str:
        """What is said of a notice that fits no hub."""
        if not self.of_model:
            return "The inventory has no hub of this manufacturer and model."
        reasons = ", ".join(f"{reason.value} {count}" for reason, count in self.unfit.items())
        return f"Of {self.of_model} hubs of this manufacturer and model the notice fits none: {reasons}."


def fit(image: Image, alike: Iterable[tuple[HubRecord, int, Mapping[PartyId, int]]]) -> Fit:
    """The fit of an image, from hubs of its model: one of each kind, how many there are of the kind, and whose."""
    counts: Counter[Inapplicable | None] = Counter()
    parties: Counter[PartyId] = Counter()
    for hub, count, of in alike:
        reason = inapplicable(image, hub)
        counts[reason] += count
        if reason is None:
            parties.update(of)
    unfit = {reason: counts[reason] for reason in Inapplicable if counts[reason]}
    return Fit(counts[None], counts.total(), unfit, dict(sorted(parties.items())))
