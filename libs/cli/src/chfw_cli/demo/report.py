"""What a run comes to: one object for machines, a page for people."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import orjson

from chfw_cli.demo.story import Story
from chfw_cli.demo.tell import Told
from chfw_cli.demo.verify import Verdict
from chfw_common.kernel.ids import hub_eui64

SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionReport:
    """The large requests. Seconds are of the machine; in a simulation they say nothing about the live system."""

    entries: int
    answered_seconds: float
    merged_seconds: float
    verdict_mismatches: int

    def line(self) -> str:
        """The same for people."""
        return (
            f"{self.entries:,} entries in the large requests, answered in {self.answered_seconds:.2f} s, "
            f"merged {self.merged_seconds:.2f} s later; {self.verdict_mismatches} verdicts differ from the oracle's"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of a run. `ok` only if every check held."""

    ok: bool
    seed: int
    hubs: int
    enrolled: int
    setup_seconds: float
    story_seconds: float
    mismatches: int
    by_state: Mapping[str, int]
    unreachable: Sequence[str]
    anomalies: int
    parked: int
    evidence_findings: Sequence[str]
    unconsumed: int
    instruction: InstructionReport
    sustained_hubs_per_second: float
    """Hubs confirmed per machine second in which anything was under way, after the decision to run."""
    writes_per_hub: float
    """Rows written after the decision to run, by all services in all their tables, per hub that was confirmed."""
    peak_rss_mb: Mapping[str, float]
    state_hash: str
    kills: Sequence[str] = field(default_factory=tuple)
    details: Sequence[str] = field(default_factory=tuple)

    def as_json(self) -> str:
        """The object that `--json` prints."""
        return orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS).decode()

    def lines(self) -> list[str]:
        """The page for people."""
        total = sum(self.by_state.values())
        yes = "all four views and the oracle agree" if self.ok else "THE VIEWS DO NOT AGREE"
        lines = [
            f"{self.hubs:,} hubs, seed {self.seed}: {yes}",
            f"story {self.story_seconds:.1f} s, set-up {self.setup_seconds:.1f} s",
            "states: " + ", ".join(f"{state} {hubs:,}" for state, hubs in self.by_state.items()) + f" = {total:,}",
            f"unreachable, to be visited: {len(self.unreachable)}"
            + "".join(f"\n    {hub}" for hub in self.unreachable[:SHOWN])
            + ("\n    ..." if len(self.unreachable) > SHOWN else ""),
            f"anomalies {self.anomalies}, parked records {self.parked}, records left unconsumed {self.unconsumed}",
            self.instruction.line(),
            "peak memory: " + ", ".join(f"{name} {mb:.0f} MB" for name, mb in self.peak_rss_mb.items()),
            f"state hash {self.state_hash}",
        ]
        if self.sustained_hubs_per_second:
            rate = f"{self.sustained_hubs_per_second:,.0f} hubs a busy second, from the decision to run to confirmed"
            lines.append(f"{rate}; {self.writes_per_hub:.1f} rows written a hub on that way")
        if self.kills:
            lines += ["killed:", *(f"    {kill}" for kill in self.kills)]
        if self.details:
            lines += [f"{self.mismatches} mismatches:", *(f"    {detail}" for detail in self.details)]
        if self.evidence_findings:
            lines += ["the checks of the evidence found:", *(f"    {finding}" for finding in self.evidence_findings)]
        return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a runner measured of itself. `idle_kills` counts kills that met no claim in flight: they show nothing."""

    setup_seconds: float
    story_seconds: float
    peak_rss_mb: Mapping[str, float]
    unconsumed: int = 0
    kills: Sequence[str] = ()
    idle_kills: int = 0


def compose(story: Story, told: Told, verdict: Verdict, run: Run) -> Report:
    """The report of a run, live or simulated."""
    found, timed = verdict.reconciliation, told.timed
    confirmed = found.by_state.get("confirmed", 0)
    busy = told.after.busy_seconds - told.before.busy_seconds
    written = told.after.rows_written - told.before.rows_written
    details = [*map(str, found.mismatches), *verdict.verdict_mismatches]
    return Report(
        ok=verdict.ok and run.unconsumed == 0 and run.idle_kills == 0,
        seed=story.estate.seed,
        hubs=len(story.estate.hubs),
        enrolled=verdict.enrolled,
        setup_seconds=round(run.setup_seconds, 2),
        story_seconds=round(run.story_seconds, 2),
        mismatches=len(found.mismatches),
        by_state=found.by_state,
        unreachable=tuple(hub_eui64(hub) for hub in found.unreachable),
        anomalies=verdict.anomalies,
        parked=verdict.parked,
        evidence_findings=verdict.evidence_findings,
        unconsumed=run.unconsumed,
        instruction=InstructionReport(
            entries=timed.entries,
            answered_seconds=timed.answered_seconds,
            merged_seconds=timed.merged_seconds,
            verdict_mismatches=len(verdict.verdict_mismatches),
        ),
        sustained_hubs_per_second=round(confirmed / busy, 1) if busy else 0.0,
        writes_per_hub=round(written / confirmed, 1) if confirmed else 0.0,
        peak_rss_mb={name: round(mb, 1) for name, mb in sorted(run.peak_rss_mb.items())},
        state_hash=verdict.state_hash,
        kills=tuple(run.kills),
        details=tuple(details[:SHOWN]),
    )
