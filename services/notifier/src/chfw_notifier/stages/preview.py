"""Preview a pilot: what a Supplier's rules would choose from its own hubs in a release (R2-3). Nothing is kept."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from chfw_common.kernel.ids import HubId, PartyId, ReleaseId, hub_eui64
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.service import Tx
from chfw_notifier.domain.pilot import Candidate, Choice, Rules, Stratum
from chfw_notifier.store import estate, releases


@dataclass(frozen=True, slots=True)
class Wish:
    """What a Supplier asks for; no region or model named means any of them."""

    party: PartyId
    release_id: ReleaseId
    share: Decimal | None
    size: int | None
    regions: tuple[str, ...]
    models: tuple[str, ...]
    seed: str
    stratified: bool


async def load(tx: Tx, wish: Wish) -> tuple[list[Candidate], Rules]:
    """What may be chosen, and by which rules. Without share and size, the cap of the release is the size.

    Raises Problem 404 for an unknown release.
    """
    release = await releases.find(tx, wish.release_id)
    if release is None:
        raise Problem(404, "unknown_release", "No such release.")
    rows = await estate.pilot_candidates(
        tx, wish.party, wish.release_id, regions=list(wish.regions) or None, models=list(wish.models) or None
    )
    share = None if wish.share is None else Fraction(wish.share)
    size = release.notice.pilot_cap if wish.size is None and share is None else wish.size
    candidates = [
        Candidate(HubId(row["hub"]), Stratum(row["model"], row["region"], row["second_supplier"])) for row in rows
    ]
    return candidates, Rules(wish.seed, share, size, wish.stratified)


def render(choice: Choice) -> dict[str, Any]:
    """The choice as its Supplier sees it; `hubs` is what an instruction takes."""
    return {
        "hubs": [hub_eui64(hub) for hub in choice.hubs],
        "eligible": sum(count.hubs for count in choice.counts),
        "strata": [
            {**count.stratum._asdict(), "eligible": count.hubs, "chosen": count.chosen} for count in choice.counts
        ],
        "coverage": {"represented": round(choice.represented, 6), "similarity": round(choice.similarity, 6)},
    }
