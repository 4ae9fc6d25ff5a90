"""What a campaign amounts to: a table for people, one line of JSON for programs."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.load.halt_bench.draw import Plan
from tests.load.halt_bench.verdict import Verdict, Violations

STEPS = {"fenced": "fenced", "effective": "effective", "last_command": "last command"}


@dataclass(frozen=True, slots=True)
class Ran:
    """A run and its verdict; `trouble` says why there is none, or why it cannot be believed."""

    plan: Plan
    verdict: Verdict | None = None
    trouble: str | None = None


@dataclass(slots=True)
class Campaign:
    """All runs. `hubs` is how many each run had, `control` the protection that was taken away."""

    seed: int
    hubs: int
    control: str | None
    runs: list[Ran] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts of runs whose evidence can be believed."""
        return [run.verdict for run in self.runs if run.verdict is not None and run.trouble is None]

    @property
    def violations(self) -> Violations:
        """Those of all runs together."""
        total: Counter[str] = Counter()
        for verdict in self.verdicts:
            total.update(asdict(verdict.violations))
        return Violations(**total)

    @property
    def troubles(self) -> int:
        """Runs that did not come to their end, or whose evidence contradicts itself."""
        return len(self.runs) - len(self.verdicts)

    @property
    def ok(self) -> bool:
        """A campaign is to find nothing, a control to find something; either only while CS06 were on their way."""
        found, tried = self.violations.total > 0, any(verdict.forwarded_since_request for verdict in self.verdicts)
        return self.troubles == 0 and tried and found is (self.control is not None)

    def as_json(self) -> dict[str, Any]:
        """All figures."""
        verdicts = self.verdicts
        return {
            "ok": self.ok,
            "control": self.control,
            "seed": self.seed,
            "runs": len(self.runs),
            "troubles": self.troubles,
            "hubs_per_run": self.hubs,
            "seconds": round(self.seconds, 1),
            "violations": asdict(self.violations),
            "runs_with_violations": sum(verdict.violations.total > 0 for verdict in verdicts),
            "latest_violation_after_effective": max((verdict.late for verdict in verdicts), default=0.0),
            "forwarded": sum(verdict.forwarded for verdict in verdicts),
            "forwarded_since_request": sum(verdict.forwarded_since_request for verdict in verdicts),
            "activated": sum(verdict.activated for verdict in verdicts),
            "at_risk": sum(verdict.at_risk for verdict in verdicts),
            "acted_at_risk": sum(verdict.acted_at_risk for verdict in verdicts),
            **{step: spread(getattr(verdict, step) for verdict in verdicts) for step in STEPS},
        }

    def table(self) -> list[str]:
        """The figures that matter, for people."""
        lines = [f"{'requested ->':<16}{'p50':>9}{'p99':>9}{'maximum':>9}  seconds"]
        for step, said in STEPS.items():
            of = spread(getattr(verdict, step) for verdict in self.verdicts)
            lines.append(f"{said:<16}{of['p50']:>9.3f}{of['p99']:>9.3f}{of['max']:>9.3f}")
        for said, of_plan in (("process", "process"), ("edge", "edge")):
            for kind, runs in _groups(self.runs, of_plan).items():
                verdicts = [run.verdict for run in runs if run.verdict is not None]
                found = sum(verdict.violations.total for verdict in verdicts)
                worst = spread(verdict.effective for verdict in verdicts)["max"]
                lines.append(
                    f"{said} {kind}: {len(runs)} runs, {found} violations, effective after {worst:.3f} s at most"
                )
        return lines


def spread(values: Iterable[float]) -> dict[str, float]:
    """The median, the 99th percentile (nearest rank) and the maximum."""
    ordered = sorted(values)
    return {"p50": _rank(ordered, 0.5), "p99": _rank(ordered, 0.99), "max": _rank(ordered, 1.0)}


def _rank(ordered: Sequence[float], share: float) -> float:
    return round(ordered[max(math.ceil(len(ordered) * share), 1) - 1], 3) if ordered else 0.0


def _groups(runs: Iterable[Ran], of_plan: str) -> dict[str, list[Ran]]:
    found: dict[str, list[Ran]] = {}
    for run in runs:
        found.setdefault(getattr(run.plan, of_plan).value, []).append(run)
    return dict(sorted(found.items()))
