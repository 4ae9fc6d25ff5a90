"""What the kernel says of running processes, read from /proc. Nothing here raises for a process that is gone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_KIB_PER_MB = 1000 / 1.024


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """One line of /proc/PID/stat, as far as we need it. `started` counts clock ticks since the machine's start."""

    state: str
    parent: int
    started: int


def stat(pid: int) -> ProcessStat | None:
    """What the kernel says of the process, or None when there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return ProcessStat(state=fields[0], parent=int(fields[1]), started=int(fields[19]))


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and was not yet collected by its parent does not."""
    found = stat(pid)
    return found is not None and found.state not in {"Z", "X"}


def command_line(pid: int) -> tuple[str, ...]:
    """The arguments the process was started with; empty when it is gone or ended."""
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(part.decode("utf-8", "replace") for part in raw.split(b"\0")[:-1])


def working_in(directory: Path) -> tuple[int, ...]:
    """The living processes whose current directory this is (that we may look at)."""
    return tuple(pid for pid in _pids() if alive(pid) and _current_directory(pid) == str(directory))


def descendants(pid: int) -> tuple[int, ...]:
    """The children of the process, their children, and so on."""
    return _below(pid, _children())


def peak_rss_mb(roots: Mapping[str, int]) -> dict[str, float]:
    """For each name the highest peak of resident memory among its process and the descendants of that, in MB."""
    children = _children()
    return {
        name: max((_peak(pid) for pid in (root, *_below(root, children))), default=0.0) for name, root in roots.items()
    }


def rss_mb(pid: int) -> float:
    """The resident memory of one process now, in MB."""
    return _status_kib(pid, "VmRSS:") / _KIB_PER_MB


def _peak(pid: int) -> float:
    return _status_kib(pid, "VmHWM:") / _KIB_PER_MB


def _status_kib(pid: int, field: str) -> int:
    try:
        text = (_PROC / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(field)), 0)


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for pid in _pids():
        seen = stat(pid)
        if seen is not None:
            found.setdefault(seen.parent, []).append(pid)
    return found


def _below(pid: int, children: Mapping[int, list[int]]) -> tuple[int, ...]:
    found = list(children.get(pid, ()))
    for child in found:
        found.extend(children.get(child, ()))
    return tuple(found)


def _current_directory(pid: int) -> str | None:
    try:
        return str((_PROC / str(pid) / "cwd").readlink())
    except OSError:
        return None
