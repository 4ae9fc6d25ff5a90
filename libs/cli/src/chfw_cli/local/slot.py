"""One supervised process: start it, watch it become ready, start it again when it dies, end it."""

import asyncio
import contextlib
import signal
import time

from chfw_cli.local import backoff
from chfw_cli.local.child import Child
from chfw_cli.local.output import LineSink
from chfw_cli.local.spec import Probe, ProcessSpec
from chfw_cli.local.state import StateDir, write_text

_PROBE_INTERVAL = 0.05
_LOOK_AGAIN = 2.0
_GROWTH = 1.02
_REFUSED = 2
_FIRST_STARTS = 3
_OUTSIDE = (-signal.SIGKILL,)


class StartError(Exception):
    """A process did not become ready; the text has its last lines."""


class NotReadyError(StartError):
    """It runs, but does not say that it is ready."""


class Slot:
    """The life of one spec under the supervisor, over all its restarts."""

    def __init__(self, spec: ProcessSpec, state: StateDir, sink: LineSink, *, restart: bool) -> None:
        self.spec, self.restarts, self.peak_rss_mb = spec, 0, 0.0
        self.child: Child | None = None
        self.ready = asyncio.Event()
        self._restart, self._sink = restart, sink
        self._pid_file = state.pids / spec.name
        self._stopping = asyncio.Event()
        self._was_ready = False
        self._watcher: asyncio.Task[None] | None = None
        self._life = asyncio.create_task(self._live(), name=f"supervise {spec.name}")
        self._life.add_done_callback(self._tell_end)

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self.child.pid if self.child else None

    async def wait_ready(self, limit: float) -> None:
        """Return once the process that runs now is ready. Raises StartError when it is given up, NotReadyError at the
        limit."""
        waiter = asyncio.create_task(self.ready.wait())
        try:
            await asyncio.wait({waiter, self._life}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
        if self.ready.is_set():
            return
        if self._life.done() and not self._life.cancelled() and (error := self._life.exception()):
            raise error
        if self._life.done():
            raise StartError(f"{self.spec.name}: ended; its last lines:\n{self._sink.recent()}")
        raise NotReadyError(f"{self.spec.name}: not ready after {limit:.0f} s; its last lines:\n{self._sink.recent()}")

    def send(self, number: int) -> None:
        """Send a signal; SIGKILL also hits everything the process started. From then on it counts as not ready."""
        if self.child is None:
            return
        if number == signal.SIGKILL:
            if self._watcher is not None:
                self._watcher.cancel()  # a look that is under way must not call the dead ready
            self.ready.clear()
            self.child.kill_tree()
        else:
            self.child.signal(number)

    async def stop(self, limit: float) -> None:
        """End the process for good: its own stop signal, and SIGKILL past the limit."""
        self._stopping.set()
        self.send(self.spec.stop_signal)
        done, _ = await asyncio.wait({self._life}, timeout=max(limit, 0))
        if not done:
            self.send(signal.SIGKILL)
            self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)
        self._sink.close()

    async def _live(self) -> None:
        delay: float | None = None
        while True:
            began = time.monotonic()
            code = await self._run_once()
            if self._stopping.is_set() or not self._restart:
                return
            if not self._was_ready and self.restarts + 1 >= _FIRST_STARTS:
                return
            delay = backoff.next_delay(None if code in _OUTSIDE else delay, time.monotonic() - began)
            self._note(f"ended with code {code}; starts again in {delay:.1f} s")
            self.restarts += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopping.wait()
            if self._stopping.is_set():
                return

    async def _run_once(self) -> int:
        """From one start to the end of that process; cancelling kills it."""
        if self.spec.before_start:
            await self.spec.before_start()
        child = self.child = await Child.start(self.spec, self._sink)
        watcher = self._watcher = asyncio.create_task(self._watch(self.spec.ready))
        try:
            write_text(self._pid_file, f"{child.pid}\n")
            if self._stopping.is_set():
                child.signal(self.spec.stop_signal)
            return await child.wait()
        finally:
            watcher.cancel()
            child.kill_tree()
            await asyncio.gather(watcher, child.wait(), return_exceptions=True)
            self.child = None
            self.ready.clear()
            self._pid_file.unlink(missing_ok=True)

    async def _watch(self, probe: Probe | None) -> None:
        """Until the process ends: ready once the probe says so, and not ready when it has said no twice since."""
        refused, pause = 0, _PROBE_INTERVAL
        while probe is not None:
            refused = 0 if await probe() else refused + 1
            if refused == 0:
                self._was_ready = True
                self.ready.set()
            elif refused >= _REFUSED:
                self.ready.clear()
            pause = _LOOK_AGAIN if self.ready.is_set() else min(pause * _GROWTH, _LOOK_AGAIN)
            await asyncio.sleep(pause)
        self._was_ready = True
        self.ready.set()

    def _tell_end(self, life: asyncio.Task[None]) -> None:
        if not life.cancelled() and (error := life.exception()) is not None:
            self._note(f"given up: {error}")
        elif not self._stopping.is_set() and self._restart:
            self._note(f"given up after {self.restarts + 1} starts")

    def _note(self, text: str) -> None:
        self._sink.write(f"[supervisor] {text}".encode())
