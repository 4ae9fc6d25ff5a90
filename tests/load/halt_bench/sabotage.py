"""Device-sim as the bench runs it: one edge may be wrong, and a control may take a protection away.

    python -m tests.load.halt_bench.sabotage FAULTS [fence|permit|early]

FAULTS is a file that the bench writes before and during a run. Everything here replaces a function of the service
before its own `main` runs; the service has no switches for it.
"""

import dataclasses
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from chfw_common.events.command import HubCancel
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.consume import ConsumeCore
from chfw_common.runtime.live import main
from chfw_common.runtime.service import Now
from chfw_device_sim.domain.edge import Refusal, refusal
from chfw_device_sim.service import build
from chfw_device_sim.settings import Settings
from chfw_device_sim.stages import fence, network
from chfw_device_sim.store import fence as fences

SOUND = b"{}"


class Control(StrEnum):
    """The protection that is taken away; the campaign must notice."""

    FENCE = "fence"
    PERMIT = "permit"
    EARLY = "early"


@dataclass(frozen=True, slots=True)
class WrongEdge:
    """What is wrong with one edge: how many seconds its clock is ahead, and whether decisions reach it."""

    region: str
    skew: float = 0.0
    cut_off: bool = False


class Faults:
    """The file in which the bench says what is wrong now."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def set(self, wrong: WrongEdge | None) -> None:
        """Say it, in one step: a reader sees the old text or the new one."""
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(SOUND if wrong is None else orjson.dumps(dataclasses.asdict(wrong)))
        fresh.replace(self._file)

    def now(self) -> WrongEdge | None:
        """What is wrong with which edge at this moment."""
        said = orjson.loads(self._file.read_bytes())
        return WrongEdge(**said) if said else None


def harm_edges(faults: Faults) -> None:
    """Let an edge be wrong as the file says, whenever it judges a message or hears of a decision."""
    judge, obey = network.Network.passage, fence.handle_decisions

    def passage(self: Any, message: Any, known: Any, now: Instant) -> Any:
        verdicts = judge(self, message, known, now)
        wrong = faults.now()
        if wrong is not None and wrong.skew:
            skew = timedelta(seconds=wrong.skew)
            skewed = dataclasses.replace(self, machine_now=lambda: self.machine_now() + skew)
            verdicts[wrong.region] = judge(skewed, message, known, now + skew)[wrong.region]
        return verdicts

    async def handle_decisions(all_edges: Any, *arguments: Any) -> Any:
        wrong = faults.now()
        if wrong is not None and wrong.cut_off:
            reached = tuple(edge for edge in all_edges.edges if edge != wrong.region)
            all_edges = dataclasses.replace(all_edges, edges=reached)
        return await obey(all_edges, *arguments)

    _replace(network.Network, "passage", passage)
    _replace(fence, "handle_decisions", handle_decisions)


def take_away(control: Control, faults: Faults) -> None:
    """Take a protection away, and whatever else would help in its place."""
    if control is Control.FENCE:
        _without_fence()
        return
    _without_cancels(faults)
    if control is Control.PERMIT:
        _without_permits()
    else:
        _with_an_early_clock()


def _without_fence() -> None:
    """No edge compares epochs, and none holds the lock of its fence. All acknowledge halts as ever."""

    async def share(tx: Any, releases: Any, _: Sequence[str]) -> Any:
        return await fences.find(tx, sorted(set(releases)))

    async def close(*_: Any) -> None:
        return None

    def judge(permit: Any, _: int, now: Instant, **clocks: Any) -> Refusal | None:
        return refusal(permit, 0, now, **clocks)

    _replace(fences, "share", share)
    _replace(fences, "close", close)
    _replace(network, "refusal", judge)


def _without_cancels(faults: Faults) -> None:
    """An edge that hears of no decision stops the first cancel of a CS06 as well, since it overtakes that CS06. The
    cancel is sent again, and passes then."""
    judge, refused = network.Network.passage, set[tuple[Any, Any]]()

    def passage(self: Any, message: Any, known: Any, now: Instant) -> Any:
        verdicts = judge(self, message, known, now)
        wrong = faults.now()
        if wrong is not None and wrong.cut_off and isinstance(message.event, HubCancel):
            new = {(item.hub, item.cancels) for item in message.event.items} - refused
            if new:
                refused.update(new)
                verdicts[wrong.region] = Refusal.PERMIT_EXPIRED
        return verdicts

    _replace(network.Network, "passage", passage)


def _without_permits() -> None:
    """No edge looks at `permit_until`."""

    def judge(permit: Any, min_epoch: int, now: Instant, **clocks: Any) -> Refusal | None:
        found = refusal(permit, min_epoch, now, **clocks)
        return None if found is Refusal.PERMIT_EXPIRED else found

    _replace(network, "refusal", judge)


def _with_an_early_clock() -> None:
    """Records are judged by a time that was read when they were fetched, before any wait for a connection or a lock. It
    is kept when they are settled again because Postgres ended the transaction of a process that stood still."""
    settle, fetched_at = ConsumeCore.settle, dict[tuple[str, int, int], Instant]()

    async def settle_early(self: Any, topic: Any, partition: int, records: Any, now: Now) -> Any:
        at = fetched_at.setdefault((topic.name, partition, records[0].offset), now()) if records else now()
        return await settle(self, topic, partition, records, lambda: at)

    _replace(ConsumeCore, "settle", settle_early)


def _replace(owner: Any, name: str, other: Any) -> None:
    """Put another function in the place of one. Raises AttributeError when there is none of that name any more."""
    getattr(owner, name)
    setattr(owner, name, other)


def argv(faults: Path, control: Control | None) -> tuple[str, ...]:
    """The command that runs device-sim in this way."""
    return (sys.executable, "-m", "tests.load.halt_bench.sabotage", os.fspath(faults), *([control] if control else []))


if __name__ == "__main__":
    said = Faults(Path(sys.argv[1]))
    harm_edges(said)
    for name in sys.argv[2:]:
        take_away(Control(name), said)
    main(build, Settings(), "device-sim")
