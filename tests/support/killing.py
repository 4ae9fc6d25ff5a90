"""Processes that are killed and started again while somebody watches what they say."""

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass
class Watched:
    """A program that is run again and again; what its runs said, counted."""

    arguments: Sequence[str]
    kills: int = 0
    ended: int = 0
    said: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    _process: asyncio.subprocess.Process | None = None
    _readers: list["asyncio.Task[None]"] = field(default_factory=list)
    _heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Start it once more."""
        paths = [str(ROOT), *(str(path) for path in sorted(ROOT.glob("*/*/src")))]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self.arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            cwd=ROOT,
        )
        self._readers = [asyncio.create_task(self._read(self._process)), asyncio.create_task(self._mind(self._process))]

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
        await process.wait()
        await asyncio.gather(*self._readers)
        self._process = None

    async def says(self, kind: str, more: int = 1, limit: float = 30.0) -> bool:
        """Wait until it has said something so often more; False when it ends by itself before."""
        wanted = self.said[kind] + more
        async with asyncio.timeout(limit):
            while self.said[kind] < wanted:
                if self._process is None or self._process.returncode is not None:
                    return False
                self._heard.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await self._heard.wait()
        return True

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue  # cut by a kill
            self.said[said["kind"]] += 1
            self.repeats += said.get("repeats", 0)
            if said["kind"] != "settled":
                self.lines.append(said)
            self._heard.set()

    async def _mind(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self.errors.append(line.decode(errors="replace"))


@contextlib.asynccontextmanager
async def killed_at_random(
    watched: Watched, rng: random.Random, kills: int, done: Callable[[], Awaitable[bool]]
) -> AsyncIterator[None]:
    """Start the program; kill it `kills` times after a random number of settled offers; then let it finish."""
    try:
        for _ in range(kills):
            await watched.start()
            if await watched.says("settled", rng.randint(1, 60)):
                watched.kills += 1
            else:
                watched.ended += 1
            await watched.kill()
            if await done():
                break
        await watched.start()
        yield
    finally:
        await watched.kill()
