"""Where the lines of child processes go: a file per process, and the terminal with the name in front."""

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, cast

Echo = Callable[[str, str], None]
"""Called with the name of a process and one line of its output."""

_COLOURS = ("36", "33", "35", "32", "34", "91", "96", "93", "95")
_WIDTH = 11
_REMEMBERED = 20
_LONGEST_LINE = 64 * 1024


def stderr_echo(*, colour: bool) -> Echo:
    """Write `name | line` to standard error; each name keeps its colour."""
    colours: dict[str, str] = {}

    def echo(name: str, line: str) -> None:
        shown = f"{name:<{_WIDTH}} |"
        if colour:
            code = colours.setdefault(name, _COLOURS[len(colours) % len(_COLOURS)])
            shown = f"\x1b[{code}m{shown}\x1b[0m"
        sys.stderr.write(f"{shown} {line}\n")

    return echo


def silent(_name: str, _line: str) -> None:
    """An echo for callers that only want the files."""


class LineSink:
    """The lines of one process over all its restarts. The file of the previous run is kept beside it as `.1`."""

    def __init__(self, name: str, file: Path, echo: Echo) -> None:
        if file.exists():
            file.replace(file.with_name(f"{file.name}.1"))
        self.path = file
        self._name, self._echo = name, echo
        self._file = file.open("wb", buffering=0)
        self._recent: deque[str] = deque(maxlen=_REMEMBERED)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, line: bytes) -> None:
        """Take one line, without its end."""
        if not self._file.closed:
            self._file.write(line + b"\n")
        text = line.decode("utf-8", "replace")
        self._recent.append(text)
        self._echo(self._name, text)

    def recent(self) -> str:
        """The last lines, for the message of an error."""
        return "\n".join(self._recent)

    def close(self) -> None:
        """Close the file; later lines only go to the echo."""
        self._file.close()


class LineProtocol(asyncio.Protocol):
    """Cuts what comes through a pipe into lines. A line too long to keep whole is passed on in pieces."""

    def __init__(self, sink: LineSink) -> None:
        self._sink = sink
        self._rest = b""
        self._transport: asyncio.ReadTransport | None = None
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.ReadTransport", transport)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._sink.write(line)
        if len(self._rest) > _LONGEST_LINE:
            self._sink.write(self._rest)
            self._rest = b""

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._rest:
            self._sink.write(self._rest)
            self._rest = b""
        self.ended.set()

    def close(self) -> None:
        """Read no more, even when a grandchild still holds the other end."""
        if self._transport is not None:
            self._transport.close()
