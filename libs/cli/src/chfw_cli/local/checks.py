"""What must hold on a machine before `up` can work; each check says what to do when it does not."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chfw_cli.local import kafka_jars, ports
from chfw_cli.local.java import NoJavaError, find_java
from chfw_cli.local.kafka_jars import JarMismatchError
from chfw_cli.local.postgres_binaries import NoPostgresError, find_binaries, require_reachable, server_account
from chfw_cli.local.record import NotUpError, StackRecord
from chfw_cli.local.state import StateDir, StateDirError

_PYTHONS = ((3, 11), (3, 14))
_DISK_MB = 3000
_LEAST_FILES = 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of a check: what was found, and what to do when that is bad (empty: it is good)."""

    subject: str
    found: str
    cure: str = ""

    @property
    def good(self) -> bool:
        """Whether there is nothing to do."""
        return not self.cure


def examine(state: StateDir) -> tuple[Finding, ...]:
    """Every check, in the order in which `up` would trip over them."""
    checks: tuple[Callable[[], Finding], ...] = (
        check_python,
        lambda: check_state(state),
        lambda: check_disk(state),
        lambda: check_postgres(state),
        check_java,
        check_jars,
        lambda: check_ports(state),
        check_locale,
        check_open_files,
    )
    return tuple(check() for check in checks)


def check_python() -> Finding:
    """A Python we test on."""
    lowest, beyond = _PYTHONS
    cure = "" if lowest <= sys.version_info[:2] < beyond else "use Python 3.11, 3.12 or 3.13"
    return Finding("python", ".".join(str(part) for part in sys.version_info[:3]), cure)


def check_state(state: StateDir) -> Finding:
    """The state directory is ours, and the user of the Postgres server may pass through to it."""
    try:
        state.create()
        require_reachable(state.root, server_account())
    except (StateDirError, NoPostgresError) as error:
        return Finding("state", str(state.root), str(error))
    except OSError as error:
        return Finding("state", str(state.root), f"{error}: set CHFW_STATE to a directory that you may write")
    return Finding("state", str(state.root))


def check_disk(state: StateDir) -> Finding:
    """Room for the servers' data."""
    free = shutil.disk_usage(_existing(state.root)).free // 10**6
    cure = "" if free >= _DISK_MB else f"free {_DISK_MB} MB there, or set CHFW_STATE to another disk"
    return Finding("disk", f"{free} MB free", cure)


def check_postgres(state: StateDir) -> Finding:
    """A Postgres that starts."""
    try:
        found = find_binaries(state.root / "postgres" / "dist", server_account())
    except (NoPostgresError, OSError) as error:
        return Finding("postgres", "none", str(error))
    return Finding("postgres", f"{found.major} in {found.directory}")


def check_java() -> Finding:
    """A Java for Kafka."""
    try:
        java = find_java()
    except NoJavaError as error:
        return Finding("java", "none", str(error))
    return Finding("java", f"{java.major} at {java.path}")


def check_jars() -> Finding:
    """The broker's jars, if they are there already, are the committed ones. Missing is good: `up` fetches them."""
    directory = kafka_jars.jar_directory()
    if not directory.is_dir():
        return Finding("kafka jars", "not fetched yet; the first `up` does (45 MB)")
    try:
        kafka_jars.verify(directory.iterdir(), kafka_jars.expected_jars())
    except (JarMismatchError, OSError) as error:
        return Finding("kafka jars", str(directory), str(error))
    return Finding("kafka jars", f"verified in {directory}")


def check_ports(state: StateDir) -> Finding:
    """The ports kept for this state directory are free, unless it is our own stack that uses them."""
    try:
        StackRecord.read(state)
    except NotUpError:
        taken = sorted(port for port in state.known_ports().values() if not ports.is_free(port))
        cure = f"ports {taken} are used by other programs: end those, or remove {state.root}" if taken else ""
        return Finding("ports", "taken" if taken else "free", cure)
    return Finding("ports", "in use by the stack that is up")


def check_locale() -> Finding:
    """File names and output in UTF-8."""
    encoding = sys.getfilesystemencoding()
    return Finding("locale", encoding, "" if encoding.lower() == "utf-8" else "set LC_ALL=C.UTF-8")


def check_open_files() -> Finding:
    """Enough files may be open at once."""
    limit = os.sysconf("SC_OPEN_MAX")
    return Finding("open files", str(limit), "" if limit >= _LEAST_FILES else f"ulimit -n {_LEAST_FILES}")


def _existing(path: Path) -> Path:
    return next(step for step in (path, *path.parents) if step.exists())
