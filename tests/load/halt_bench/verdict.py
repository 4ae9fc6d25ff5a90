"""What the evidence of a run says: which promises of a halt were broken, and how long each step took."""

from dataclasses import asdict, dataclass
from typing import Any

from tests.load.halt_bench.evidence import Deed, Moment, Observed


@dataclass(frozen=True, slots=True)
class Violations:
    """Broken promises, counted in hubs.

    `forwarded`, `images`: an edge let a CS06 or an image of an older epoch pass after the halt was effective.
    `activated`: a hub activated the release after that and was not listed at risk (I7). `claimed`, `commanded`: the
    scheduler claimed, or wrote a message, under an older epoch after it had stored the halt (I6). `twice`: a hub
    activated the release a second time (I8). `untold`: hubs at risk beyond the number that was told with `effective`.
    """

    forwarded: int = 0
    images: int = 0
    activated: int = 0
    claimed: int = 0
    commanded: int = 0
    twice: int = 0
    untold: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(asdict(self).values())


@dataclass(frozen=True, slots=True)
class Verdict:
    """One run. Seconds count from the moment at which governance committed the halt.

    `last_command` is 0 when no CS06 of an older epoch passed an edge after that moment. `late` is how long after
    `effective` the last violation of an edge or a hub came. `acted_at_risk` counts hubs that were listed and activated.
    """

    violations: Violations
    fenced: float
    effective: float
    last_command: float
    late: float
    forwarded: int
    forwarded_since_request: int
    activated: int
    at_risk: int
    acted_at_risk: int

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def judge(seen: Observed) -> Verdict:
    """The verdict on a run that has come to its end. Raises ValueError while the halt is not known to be effective."""
    requested, fenced, effective = seen.requested, seen.fenced, seen.effective
    if requested is None or fenced is None or effective is None:
        raise ValueError(f"the halt of {seen.release_id} is not effective")
    old = [deed for deed in seen.forwarded if deed.epoch < seen.halt]
    forwarded = _after(old, effective)
    images = [deed for deed in _after(seen.images, effective) if deed.epoch < seen.halt]
    acted = _after(seen.activated, effective)
    unlisted = [deed for deed in acted if deed.hub not in seen.at_risk]
    last = max((deed.moment for deed in old), default=requested)
    broken = max((deed.moment for deed in [*forwarded, *images, *unlisted]), default=effective)
    return Verdict(
        violations=Violations(
            forwarded=_hubs(forwarded),
            images=_hubs(images),
            activated=_hubs(unlisted),
            claimed=_hubs(_older(seen.claimed, seen.halt, fenced)),
            commanded=_hubs(_older(seen.commanded, seen.halt, fenced)),
            twice=len(seen.activated) - _hubs(seen.activated),
            untold=max(len(seen.at_risk) - (seen.told_at_risk or 0), 0),
        ),
        fenced=_seconds(requested, fenced),
        effective=_seconds(requested, effective),
        last_command=max(_seconds(requested, last), 0.0),
        late=_seconds(effective, broken),
        forwarded=_hubs(seen.forwarded),
        forwarded_since_request=_hubs(_after(old, requested)),
        activated=_hubs(seen.activated),
        at_risk=len(seen.at_risk),
        acted_at_risk=_hubs(acted) - _hubs(unlisted),
    )


def _after(deeds: list[Deed], moment: Moment) -> list[Deed]:
    """Those that were committed later, in the order of the log."""
    return [deed for deed in deeds if deed.moment.place > moment.place]


def _older(deeds: list[Deed], halt: int, fenced: Moment) -> list[Deed]:
    return [deed for deed in _after(deeds, fenced) if deed.epoch < halt]


def _hubs(deeds: list[Deed]) -> int:
    return len({deed.hub for deed in deeds})


def _seconds(begin: Moment, end: Moment) -> float:
    return (end.at - begin.at).total_seconds()
