"""One started process: its end, its output, its descendants."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from chfw_cli.local import proc
from chfw_cli.local.output import LineProtocol, LineSink
from chfw_cli.local.spec import Account, ProcessSpec

_LAUNCH = Path(__file__).with_name("launch.py")
_DRAIN_LIMIT = 0.5
_INHERITED = frozenset(
    {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
)
"""What a program needs to be found and to read and write text. All else a child is told by its spec, or not at all: the
environment of a shell holds tokens and passwords of other things."""


def inherited() -> dict[str, str]:
    """The part of this process's environment that a child gets."""
    return {name: value for name, value in os.environ.items() if name in _INHERITED}


class Child:
    """A process in a session of its own, which the kernel kills when the thread that started it ends."""

    def __init__(self, process: asyncio.subprocess.Process, lines: LineProtocol) -> None:
        self._process, self._lines = process, lines
        self.pid = process.pid

    @classmethod
    async def start(cls, spec: ProcessSpec, sink: LineSink) -> "Child":
        """Start what the spec says; every line it writes goes to the sink."""
        reading, writing = os.pipe()
        source = os.fdopen(reading, "rb", buffering=0)
        loop = asyncio.get_running_loop()
        try:
            _, lines = await loop.connect_read_pipe(lambda: LineProtocol(sink), source)
        except BaseException:
            source.close()
            os.close(writing)
            raise
        try:
            process = await asyncio.create_subprocess_exec(
                *launch_command(spec.argv, spec.account),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                env={**inherited(), **spec.env},
                cwd=spec.cwd,
                start_new_session=True,
            )
        except BaseException:
            lines.close()
            raise
        finally:
            os.close(writing)
        return cls(process, lines)

    async def wait(self) -> int:
        """Wait for the end and for the last lines; then end what is left of the process group. The exit code."""
        code = await self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_LIMIT):
                await self._lines.ended.wait()
        self._lines.close()
        return code

    def signal(self, number: int) -> None:
        """Send the signal to the process alone; one that is stopped is woken so that it can obey."""
        self._send(self.pid, number)
        if number not in {signal.SIGSTOP, signal.SIGTSTP}:
            self._send(self.pid, signal.SIGCONT)

    def kill_tree(self) -> None:
        """SIGKILL for the process and everything below it."""
        if self._process.returncode is not None:
            return
        below = proc.descendants(self.pid)
        for pid in (self.pid, *below):
            self._send(pid, signal.SIGKILL)

    def _send(self, pid: int, number: int) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def launch_command(argv: tuple[str, ...], account: Account | None = None) -> tuple[str, ...]:
    """The command that becomes `argv` in a child of this process: as that user, and dying with us."""
    user, group = (str(account.uid), str(account.gid)) if account else ("-", "-")
    return (sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), user, group, *argv)


async def run_to_end(argv: tuple[str, ...], *, account: Account | None = None, limit: float = 60.0) -> tuple[int, str]:
    """Run a short command to its end. The exit code and all it wrote. Raises TimeoutError past the limit."""
    process = await asyncio.create_subprocess_exec(
        *launch_command(argv, account),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=inherited(),
        cwd=os.sep,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limit):
            output, _ = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    return process.returncode or 0, output.decode("utf-8", "replace")
