"""Ending a server that an earlier run left behind."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from chfw_cli.local import proc

_POLITE = 10.0
_FIRM = 5.0
_INTERVAL = 0.02


class OrphanError(Exception):
    """A process of an earlier run does not end."""


async def end_orphan(pid_file: Path, mark: str, number: signal.Signals = signal.SIGTERM) -> bool:
    """End the process recorded in the file, if its command line still shows `mark`. Whether there was one.

    A recorded number that now belongs to some other program is left alone.
    """
    pid = recorded_pid(pid_file)
    if pid is None or pid == os.getpid() or not any(mark in part for part in proc.command_line(pid)):
        return False
    for attempt, limit in ((number, _POLITE), (signal.SIGKILL, _FIRM)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, attempt)
        if await until(lambda: not proc.alive(pid), limit):
            return True
    raise OrphanError(f"process {pid} of an earlier run does not end")


def recorded_pid(pid_file: Path) -> int | None:
    """The number in the first line of the file, if there is one."""
    try:
        lines = pid_file.read_text(encoding="utf-8").split("\n", 1)
        return int(lines[0])
    except (OSError, ValueError):
        return None


async def until(condition: Callable[[], bool], limit: float) -> bool:
    """Whether the condition came true within the limit."""
    try:
        async with asyncio.timeout(limit):
            while True:
                if condition():
                    return True
                await asyncio.sleep(_INTERVAL)
    except TimeoutError:
        return False
