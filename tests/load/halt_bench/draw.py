"""What happens in each run, drawn from a seed: when the halt comes, and what goes wrong around it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import cycle, islice, product

from chfw_cli.demo.estate import REGIONS

WRONG_BY = timedelta(seconds=10)
LEAST_FREEZE = 2.0
MOST_FREEZE = 30.0


class Process(StrEnum):
    """What happens to a process."""

    UNHARMED = "unharmed"
    KILL_SCHEDULER = "kill scheduler"
    KILL_DEVICE_SIM = "kill device-sim"
    FREEZE_SCHEDULER = "freeze scheduler"
    FREEZE_DEVICE_SIM = "freeze device-sim"

    @property
    def service(self) -> str | None:
        """The service that it happens to."""
        return None if self is Process.UNHARMED else self.value.split()[1]

    @property
    def freezes(self) -> bool:
        """Whether it is SIGSTOP and SIGCONT; else `kill -9`."""
        return self in {Process.FREEZE_SCHEDULER, Process.FREEZE_DEVICE_SIM}


class Edge(StrEnum):
    """What is wrong with one edge."""

    SOUND = "sound"
    BEHIND = "behind"
    AHEAD = "ahead"
    CUT_OFF = "cut off"
    CUT_OFF_BEHIND = "cut off and behind"

    @property
    def skew(self) -> timedelta:
        """How far its clock is ahead of the right time."""
        if self is Edge.AHEAD:
            return WRONG_BY
        return -WRONG_BY if self in {Edge.BEHIND, Edge.CUT_OFF_BEHIND} else timedelta(0)

    @property
    def cut_off(self) -> bool:
        """Whether no decision reaches it."""
        return self in {Edge.CUT_OFF, Edge.CUT_OFF_BEHIND}


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. Seconds count from the first claim of a CS06, or from the first CS06 that passes an edge (`forwarding`).

    `harm_at` may lie before `halt_at` or shortly after it; `frozen` is how long a frozen process stands still.
    """

    number: int
    mode: str
    halt_at: float
    process: Process = Process.UNHARMED
    harm_at: float = 0.0
    frozen: float = 0.0
    edge: Edge = Edge.SOUND
    region: str = REGIONS[0][0]
    forwarding: bool = False

    @property
    def release_id(self) -> str:
        """The release of this run."""
        return f"halt-{self.number:04}"

    def __str__(self) -> str:
        process = self.process.value
        if self.process is not Process.UNHARMED:
            process += f" at {self.harm_at:.2f} s"
        if self.process.freezes:
            process += f" for {self.frozen:.1f} s"
        edge = "all edges sound" if self.edge is Edge.SOUND else f"edge {self.region} {self.edge.value}"
        return f"{self.mode} at {self.halt_at:.2f} s, {process}, {edge}"


def draw_plans(seed: int, runs: int, *, window: float, most_freeze: float = MOST_FREEZE) -> list[Plan]:
    """The runs of a seed. The pairs of faults are dealt like cards: each once before one comes a second time."""
    draw = random.Random(f"halts {seed}")
    pairs = list(product(Process, Edge))
    draw.shuffle(pairs)
    return [_plan(draw, n, pair, window, most_freeze) for n, pair in enumerate(islice(cycle(pairs), runs))]


def _plan(draw: random.Random, number: int, pair: tuple[Process, Edge], window: float, most_freeze: float) -> Plan:
    process, edge = pair
    # Half of the halts come in the first quarter of the window, when CS06 are on their way.
    halt_at = window * draw.random() ** 2
    return Plan(
        number=number,
        mode=draw.choice(("stop", "pause")),
        halt_at=halt_at,
        process=process,
        harm_at=max(0.0, halt_at + draw.uniform(-0.7, 0.3)),
        frozen=draw.uniform(min(LEAST_FREEZE, most_freeze), most_freeze),
        edge=edge,
        region=_region(draw),
    )


def _region(draw: random.Random) -> str:
    names: Sequence[str] = [name for name, _ in REGIONS]
    return draw.choices(names, [weight for _, weight in REGIONS])[0]
