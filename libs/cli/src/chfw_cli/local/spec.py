"""What the supervisor is told about a process."""

import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Probe = Callable[[], Awaitable[bool]]
"""One look: is it ready? Answers within about a second, raises nothing for a process that is not there yet."""

Hook = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group a process runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """How to start a process, when it counts as ready, and how to end it."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the few variables that every child gets (`child.inherited`)."""
    ready: Probe | None = None
    """None: ready as soon as it is started."""
    after: tuple[str, ...] = ()
    """Names of processes that must be ready first; they are ended later."""
    before_start: Hook | None = None
    """Called before every start, restarts included: clears away what a killed predecessor left."""
    account: Account | None = None
    """None: the supervisor's own user."""
    stop_signal: signal.Signals = signal.SIGTERM
    ready_timeout: float = 60.0
    """Seconds from the first start until it must be ready."""
    cwd: Path = Path(os.sep)
