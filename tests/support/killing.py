"""Processes that are killed and started again while somebody watches what they say (the program is runner.py)."""

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chfw_common.runtime.kafka.access import KafkaAccess

ROOT = Path(__file__).parents[2]


def kafka_arguments(access: KafkaAccess) -> tuple[str, ...]:
    """The arguments by which the program reaches Kafka: the file of the password, never the password."""
    return (
        *("--bootstrap", access.bootstrap),
        *("--username", access.username),
        *("--password-file", str(access.password_file)),
    )


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
    _pid: int = 0
    _process: asyncio.subprocess.Process | None = None
    _heard: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Load the program; at the end nothing of it is left."""
        paths = [str(ROOT), *(str(path) for path in sorted(ROOT.glob("*/*/src")))]
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.runner", *self.arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            cwd=ROOT,
        )
        readers = [asyncio.create_task(self._read(process)), asyncio.create_task(self._mind(process))]
        try:
            yield
        finally:
            await self.kill()
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()
            await asyncio.gather(*readers)

    async def start(self, *switches: str) -> None:
        """Start a child, with these switches of the runner on."""
        assert self._process is not None
        assert self._process.stdin is not None
        started = self.said["started"]
        self._process.stdin.write(" ".join(switches).encode() + b"\n")
        await self._until(lambda: self.said["started"] > started)

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        await self._until(lambda: not self.alive)

    async def says(self, kind: str, more: int = 1) -> bool:
        """Wait until it has said something so often more; False when it ends by itself before."""
        wanted = self.said[kind] + more
        await self._until(lambda: self.said[kind] >= wanted or not self.alive)
        return self.said[kind] >= wanted

    async def ends(self) -> None:
        """Wait until it has ended by itself."""
        await self._until(lambda: not self.alive)
        self.ended += 1

    @property
    def alive(self) -> bool:
        """Whether a child runs."""
        return self.said["started"] > self.said["ended"]

    async def _until(self, condition: Any, limit: float = 30.0) -> None:
        try:
            async with asyncio.timeout(limit):
                while not condition():
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            raise AssertionError(f"it said {dict(self.said)}, and:\n{''.join(self.errors[-20:])}") from None

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            said = json.loads(line)
            self._pid = said.get("pid", self._pid)
            self.repeats += said.get("repeats", 0)
            if said["kind"] != "settled":
                self.lines.append(said)
            self.said[said["kind"]] += 1
            self._heard.set()

    async def _mind(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self.errors.append(line.decode(errors="replace"))


async def kill_at_random(watched: Watched, rng: random.Random, starts: int, most: int) -> None:
    """Start it so many times, and kill it each time after 1 to `most` settled offers, unless it ends by itself."""
    for _ in range(starts):
        await watched.start()
        if await watched.says("settled", rng.randint(1, most)):
            watched.kills += 1
        else:
            watched.ended += 1
        await watched.kill()
