"""Preview a pilot: what a Supplier's rules would choose from its own hubs in a release (R2-3). Nothing is kept."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from chfw_common.kernel.ids import ReleaseId, hub_eui64
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.service import Tx
from chfw_notifier.domain.offer import Closed, Offered, candidates
from chfw_notifier.domain.pilot import Candidate, Choice, Rules
from chfw_notifier.domain.shares import places_of
from chfw_notifier.store import estate, releases
from chfw_notifier.store.releases import Release


@dataclass(frozen=True, slots=True)
class Wish:
    """What a User ID of a Supplier asks for; no region or model named means any of them."""

    caller: Caller
    release_id: ReleaseId
    share: Decimal | None
    size: int | None
    regions: tuple[str, ...]
    models: tuple[str, ...]
    seed: str
    stratified: bool


_SAID = {
    Closed.RELEASE_REVOKED: "The notice of this release was revoked.",
    Closed.RELEASE_STOPPED: "This release was stopped.",
    Closed.CPL_NOT_ACTIVE: "The CPL entry of this release is not Active.",
    Closed.PILOT_CLOSED: "The pilot has opened: it takes no more lists.",
}


async def load(tx: Tx, wish: Wish, now: Instant) -> tuple[list[Candidate], Rules]:
    """What may be chosen, and by which rules. Without share and size, the size is the room that the Party has left in
    the pilot; nobody gets more. What other Parties have named changes nothing.

    Raises Problem 404 for an unknown release, 409 for one that takes no pilot list.
    """
    release = await releases.find(tx, wish.release_id)
    if release is None:
        raise Problem(404, "unknown_release", "No such release.")
    offered = _offered(release)
    closed = offered.closed(now)
    if closed is not None:
        raise Problem(409, closed.value, _SAID[closed])
    places = places_of(release.notice.pilot_places, wish.caller.party)
    room = max(0, places - await estate.pilot_size(tx, wish.release_id, wish.caller.party))
    hubs = await estate.pilot_candidates(
        tx, wish.caller, wish.release_id, regions=list(wish.regions) or None, models=list(wish.models) or None
    )
    share = None if wish.share is None else Fraction(wish.share)
    size = room if wish.size is None else min(wish.size, room)
    return candidates(offered, hubs, now), Rules(wish.seed, share, size, wish.stratified)


def _offered(release: Release) -> Offered:
    cpl = release.notice.cpl
    return Offered(
        cpl.image,
        cpl.state == "Active",
        release.mode,
        release.automatic_date,
        release.waves,
        release.notice.pilot_opens,
    )


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
