"""How many hubs a notice fits: the rule of enrolment, asked before the notice goes out."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from chfw_common.kernel.applicability import Image, Inapplicable, inapplicable
from chfw_common.kernel.hubs import HubRecord


@dataclass(frozen=True, slots=True)
class Fit:
    """Of the hubs that have the manufacturer and the model of a notice, how many it fits, and why the others not."""

    hubs: int
    of_model: int
    unfit: dict[Inapplicable, int]

    @property
    def sentence(self) -> str:
        """What is said of a notice that fits no hub."""
        if not self.of_model:
            return "The inventory has no hub of this manufacturer and model."
        reasons = ", ".join(f"{reason.value} {count}" for reason, count in self.unfit.items())
        return f"Of {self.of_model} hubs of this manufacturer and model the notice fits none: {reasons}."


def fit(image: Image, alike: Iterable[tuple[HubRecord, int]]) -> Fit:
    """The fit of an image, from hubs of its model: one of each kind, and how many there are of the kind."""
    counts: Counter[Inapplicable | None] = Counter()
    for hub, count in alike:
        counts[inapplicable(image, hub)] += count
    unfit = {reason: counts[reason] for reason in Inapplicable if counts[reason]}
    return Fit(counts[None], counts.total(), unfit)
