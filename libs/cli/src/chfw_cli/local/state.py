"""The one directory that holds everything local: data of the servers, logs, process ids, ports, keys."""

import contextlib
import hashlib
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from chfw_cli.local import ports

_PRIVATE = 0o700
_PASSABLE = 0o711
"""Others get to what they are told of inside, and see no names. Needed where Postgres runs as another user."""
_OWN = 0o600
SECRET_BYTES = 32


class StateDirError(Exception):
    """The state directory cannot be used as it is; the text says what to change."""


@dataclass(frozen=True, slots=True)
class StateDir:
    """A state directory. Removing it while nothing runs resets everything local."""

    root: Path

    @classmethod
    def default(cls, environ: Mapping[str, str] | None = None) -> Self:
        """`$CHFW_STATE`, else one directory per user and checkout under the temporary directory."""
        environ = os.environ if environ is None else environ
        if chosen := environ.get("CHFW_STATE"):
            return cls(Path(chosen).absolute())
        checkout = hashlib.sha256(str(Path(__file__).resolve().parent).encode()).hexdigest()[:8]
        return cls(Path(tempfile.gettempdir()).absolute() / f"chfw-{os.getuid()}-{checkout}")

    def create(self) -> Self:
        """Make the directory: for this user only, or, for root, one that others may pass through but not list, because
        Postgres does not run as root. One that exists keeps its mode.

        Raises StateDirError for one that belongs to someone else.
        """
        self.root.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(self.root):
            _made(self.root, _PASSABLE if os.geteuid() == 0 else _PRIVATE)
        found = self.root.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise StateDirError(f"{self.root} is not a directory of user {os.getuid()}: set CHFW_STATE to another")
        return self

    def directory(self, name: str) -> Path:
        """A directory for this user only; made when missing."""
        return _made(self.root / name, _PRIVATE)

    def passable_directory(self, name: str) -> Path:
        """A directory that the user of the Postgres server may pass through, where that is another one."""
        return _made(self.root / name, _PASSABLE if os.geteuid() == 0 else _PRIVATE)

    @property
    def logs(self) -> Path:
        """One file per process: what it wrote to its standard output and error."""
        return self.directory("logs")

    @property
    def pids(self) -> Path:
        """One file per process: its process id."""
        return self.directory("pids")

    @property
    def keys(self) -> Path:
        """Keys that sign tokens."""
        return self.directory("keys")

    @property
    def secrets(self) -> Path:
        """Passwords, one in each file."""
        return self.directory("secrets")

    def require_secret(self, name: str, data: Path) -> None:
        """Raise StateDirError for data of a server without the password that was made with it."""
        if data.exists() and not (self.secrets / name).exists():
            raise StateDirError(
                f"{data} was made without passwords, or they are lost: remove {self.root} to begin anew"
            )

    def secret(self, name: str) -> Path:
        """The file of the password of that name, which only this user may read. Made at random when it is missing."""
        file = self.secrets / name
        if not file.exists():
            write_once(file, secrets.token_urlsafe(SECRET_BYTES) + "\n", mode=_OWN)
        return file

    @property
    def audit(self) -> Path:
        """The checkpoints of the audit logs; for this user only."""
        return _made(self.root / "audit", _PRIVATE)

    @property
    def stack_file(self) -> Path:
        """What runs now; present only while a stack is up."""
        return self.root / "stack.json"

    @property
    def processes_file(self) -> Path:
        """How each process of the running stack does; rewritten once a second."""
        return self.root / "processes.json"

    def port(self, name: str) -> int:
        """The port of that name: chosen free at the first call, the same ever after."""
        known = self.known_ports()
        if name not in known:
            known[name] = ports.choose(taken=known.values())
            self._write_ports(known)
        return known[name]

    def set_port(self, name: str, port: int) -> None:
        """Fix the port of that name."""
        self._write_ports({**self.known_ports(), name: port})

    def known_ports(self) -> dict[str, int]:
        """The ports chosen so far, by name."""
        try:
            return {name: int(port) for name, port in json.loads(self._ports_file.read_text("utf-8")).items()}
        except FileNotFoundError:
            return {}

    @property
    def _ports_file(self) -> Path:
        return self.root / "ports.json"

    def _write_ports(self, known: Mapping[str, int]) -> None:
        write_text(self._ports_file, json.dumps(known, indent=2) + "\n")


def write_text(file: Path, text: str, *, mode: int = _OWN, durable: bool = False) -> None:
    """Replace the file's content in one step: a reader sees the old text or the new, never a part.

    Only this user may read it unless told otherwise. `durable`: the new text is on the disk before it has the name, so
    a power cut leaves the old text or the new as well.
    """
    _written(file, text, mode=mode, durable=durable).replace(file)
    if durable:
        _sync(file.parent)


def write_once(file: Path, text: str, *, mode: int) -> None:
    """Write a file that does not exist yet, durably. Of several writers the first one counts, for all of them."""
    fresh = _written(file, text, mode=mode, durable=True)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(fresh, file)
        _sync(file.parent)
    finally:
        fresh.unlink()


def _written(file: Path, text: str, *, mode: int, durable: bool) -> Path:
    """The text in a temporary file beside the one it is for; nobody ever has more rights to it than `mode`."""
    number, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as fresh:
            fresh.write(text)
            fresh.flush()
            os.fchmod(number, mode)
            if durable:
                os.fsync(number)
    except BaseException:
        Path(name).unlink()
        raise
    return Path(name)


def _sync(directory: Path) -> None:
    number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def untraversable(path: Path) -> tuple[Path, ...]:
    """The directories from the root down to `path` that users other than the owner may not pass through."""
    resolved = path.resolve()
    return tuple(
        step
        for step in (*reversed(resolved.parents), resolved)
        if step.is_dir() and not step.stat().st_mode & stat.S_IXOTH
    )


def _made(path: Path, mode: int) -> Path:
    if not path.is_dir():
        path.mkdir(exist_ok=True)
        path.chmod(mode)  # the mode of mkdir is cut by the umask
    return path
