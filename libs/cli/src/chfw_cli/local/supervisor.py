"""Many processes in order: each starts when those before it are ready, and all end within a limit."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from types import TracebackType
from typing import Self

from chfw_cli.local import proc
from chfw_cli.local.output import Echo, LineSink, silent
from chfw_cli.local.slot import NotReadyError, Slot, StartError
from chfw_cli.local.spec import ProcessSpec
from chfw_cli.local.state import StateDir

__all__ = ["ProcessSpec", "ProcessStatus", "StartError", "Supervisor"]

STOP_LIMIT = 10.0
_KILL_RESERVE = 1.0
_SAMPLE_INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """How one process does. `peak_rss_mb` is the most any process of that name has held."""

    name: str
    pid: int | None
    ready: bool
    restarts: int
    rss_mb: float
    peak_rss_mb: float


class Supervisor:
    """Starts processes, starts them again when they die, ends them. An async context: leaving it ends all.

    Use it from a thread that lives as long as the processes shall: the kernel kills them when that thread ends, which
    is what leaves nothing behind after a `kill -9` of this process.
    """

    def __init__(self, state: StateDir, *, restart: bool = True, echo: Echo = silent) -> None:
        self._state, self._restart, self._echo = state, restart, echo
        self._slots: dict[str, Slot] = {}
        self._sampler: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_all()

    async def start_all(self, specs: Iterable[ProcessSpec], *, patient: bool = False) -> None:
        """Start all in order of `after`, side by side where it allows. Raises StartError; what runs, runs on.

        When `patient`, a process that runs but is not ready in time is no error: `status` tells it.
        A name in `after` may also be of an earlier call. Raises graphlib.CycleError for a ring.
        """
        by_name = {spec.name: spec for spec in specs}
        graph = {name: [other for other in spec.after if other in by_name] for name, spec in by_name.items()}
        unknown = {other for spec in by_name.values() for other in spec.after} - by_name.keys() - self._slots.keys()
        if unknown:
            raise ValueError(f"`after` names processes that nobody starts: {', '.join(sorted(unknown))}")
        order = TopologicalSorter(graph)
        order.prepare()
        while order.is_active():
            wave = order.get_ready()
            await together(*(self._start_one(by_name[name], patient=patient) for name in wave))
            order.done(*wave)

    async def _start_one(self, spec: ProcessSpec, *, patient: bool) -> None:
        with contextlib.suppress(*((NotReadyError,) if patient else ())):
            await self.start(spec)

    async def start(self, spec: ProcessSpec) -> None:
        """Start one process and return when it is ready. Raises StartError when it is not in time."""
        if spec.name in self._slots:
            raise ValueError(f"{spec.name} is already supervised")
        if self._sampler is None:
            self._sampler = asyncio.create_task(self._sample_for_ever(), name="sample memory")
        sink = LineSink(spec.name, self._state.logs / f"{spec.name}.log", self._echo)
        slot = self._slots[spec.name] = Slot(spec, self._state, sink, restart=self._restart)
        await slot.wait_ready(spec.ready_timeout)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to the process of that name; SIGKILL takes its descendants too. It is started again."""
        self._sample()
        self._slots[name].send(number)

    async def wait_ready(self, name: str, limit: float = 60.0) -> None:
        """Return once the process of that name is ready (again)."""
        await self._slots[name].wait_ready(limit)

    async def stop(self, name: str, limit: float = STOP_LIMIT) -> None:
        """End one process for good; its name can be started again."""
        self._sample()
        await self._slots.pop(name).stop(limit - _KILL_RESERVE)

    async def stop_all(self, limit: float = STOP_LIMIT) -> None:
        """End everything within `limit` seconds: dependants first, SIGKILL for what does not obey."""
        self._sample()
        if self._sampler is not None:
            self._sampler.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sampler
            self._sampler = None
        deadline = time.monotonic() + limit - _KILL_RESERVE
        waves = stop_order({name: slot.spec.after for name, slot in self._slots.items()})
        for number, wave in enumerate(waves):
            share = max(deadline - time.monotonic(), 0) / (len(waves) - number)
            await asyncio.gather(*(self._slots[name].stop(share) for name in wave))
        self._slots.clear()

    def kill_all(self) -> None:
        """SIGKILL for everything, now; a stop_all under way then ends at once."""
        for slot in self._slots.values():
            slot.send(signal.SIGKILL)

    def pid(self, name: str) -> int | None:
        """The process of that name that runs now."""
        return self._slots[name].pid

    def status(self) -> tuple[ProcessStatus, ...]:
        """How each process does, in order of start."""
        self._sample()
        return tuple(
            ProcessStatus(
                name=name,
                pid=slot.pid,
                ready=slot.ready.is_set(),
                restarts=slot.restarts,
                rss_mb=round(proc.rss_mb(slot.pid), 1) if slot.pid else 0.0,
                peak_rss_mb=round(slot.peak_rss_mb, 1),
            )
            for name, slot in self._slots.items()
        )

    def peak_rss_mb(self) -> dict[str, float]:
        """The most resident memory any single process of each name has held, restarts and descendants included."""
        self._sample()
        return {name: slot.peak_rss_mb for name, slot in self._slots.items()}

    def _sample(self) -> None:
        roots = {name: slot.pid for name, slot in self._slots.items() if slot.pid is not None}
        for name, peak in proc.peak_rss_mb(roots).items():
            self._slots[name].peak_rss_mb = max(self._slots[name].peak_rss_mb, peak)

    async def _sample_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_SAMPLE_INTERVAL)
            self._sample()


async def together(*steps: Coroutine[object, object, None]) -> None:
    """Run the steps side by side. The first that fails cancels the others; its error is raised when all have ended."""
    tasks = [asyncio.create_task(step) for step in steps]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def stop_order(after: Mapping[str, tuple[str, ...]]) -> list[list[str]]:
    """The names in waves: nobody is ended before those that came after it."""
    depth: dict[str, int] = {}

    def measure(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((measure(other) for other in after[name] if other in after), default=0)
        return depth[name]

    for name in after:
        measure(name)
    return [[name for name in after if depth[name] == level] for level in sorted(set(depth.values()), reverse=True)]
