"""A real Postgres on loopback: cluster of its own, C collation, UTF-8, a password for every role."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from chfw_cli.local import proc
from chfw_cli.local.child import run_to_end
from chfw_cli.local.orphans import end_orphan, recorded_pid, until
from chfw_cli.local.output import Echo, silent
from chfw_cli.local.postgres_binaries import (
    NoPostgresError,
    PostgresBinaries,
    find_binaries,
    require_reachable,
    server_account,
)
from chfw_cli.local.postgres_config import DEMO, Profile, pg_hba_conf, postgresql_conf
from chfw_cli.local.probes import postgres_ready
from chfw_cli.local.server import LocalServer, require_free
from chfw_cli.local.services import SERVICES, module_of
from chfw_cli.local.spec import Account, ProcessSpec
from chfw_cli.local.state import StateDir, write_text

_SUPERUSER = "postgres"
ROLES = (_SUPERUSER, *(module_of(service) for service in SERVICES))
"""Who can log in."""
_READABLE = 0o644
"""The server reads its settings, which hold no secret, as its own user."""
_PRELOAD = "pg_stat_statements"
_BACKENDS_LIMIT = 5.0


class PostgresServer(LocalServer):
    """The Postgres of a state directory. Data, port and passwords outlive restarts.

    The passwords lie in the secrets of the state directory: one file for each role, and a passfile with all of them,
    which the addresses of `dsn` name. No address holds a password.
    """

    name = "postgres"

    def __init__(
        self, state: StateDir, port: int | None = None, *, profile: Profile = DEMO, echo: Echo = silent
    ) -> None:
        super().__init__(state, echo=echo)
        if port is not None:
            state.set_port("postgres", port)
        self.port = state.port("postgres")
        self._profile = profile
        self._home = state.passable_directory("postgres")
        self._data = self._home / "data"
        self._binaries: PostgresBinaries | None = None
        self._account: Account | None = None

    def dsn(self, database: str = "postgres", user: str = _SUPERUSER) -> str:
        """The address of a database for a user of this machine's, with the file of passwords; as it stands, that of the
        administrator."""
        return f"{self.address(database, user)}?passfile={quote(str(self._passfile))}"

    def address(self, database: str, user: str) -> str:
        """The same for a program that is told its password by a file of its own."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def password_file(self, user: str) -> Path:
        """The file with the password of a role."""
        return self.state.secret(f"postgres-{user}")

    @property
    def _passfile(self) -> Path:
        return self.state.secrets / "pgpass"

    async def prepare(self) -> None:
        """Find the programs and the user, end an orphaned server, make the cluster once, write the settings."""
        account = self._account = server_account()
        require_reachable(self._home, account)
        binaries = self._binaries = await asyncio.to_thread(find_binaries, self._home / "dist", account)
        await self._clear()
        require_free(self.port, self.state)
        self.state.require_secret(f"postgres-{_SUPERUSER}", self._data)
        if not self._data.exists():
            await create_cluster(self._data, binaries, account, self.password_file(_SUPERUSER))
        require_same_major(self._data, binaries)
        self._write_passfile()
        preload = (_PRELOAD,) if binaries.has_module(_PRELOAD) else ()
        conf = postgresql_conf(self._profile, port=self.port, preload=preload, hba=self._home / "pg_hba.conf")
        for name, text in (("postgresql.conf", conf), ("pg_hba.conf", pg_hba_conf(_SUPERUSER))):
            write_text(self._home / name, text, mode=_READABLE)

    def _write_passfile(self) -> None:
        """The passwords of all roles in the form that clients of Postgres read."""
        lines = (f"127.0.0.1:{self.port}:*:{user}:{self.password_file(user).read_text()}" for user in ROLES)
        write_text(self._passfile, "".join(lines))

    def spec(self) -> ProcessSpec:
        """How to run the server; only after `prepare`. Its stop signal asks for a fast shutdown."""
        if self._binaries is None:
            raise RuntimeError("prepare() comes before spec()")
        program, settings = self._binaries.directory / "postgres", self._home / "postgresql.conf"
        return ProcessSpec(
            name=self.name,
            argv=(str(program), "-D", str(self._data), "-c", f"config_file={settings}"),
            ready=self._is_ready,
            before_start=self._clear,
            account=self._account,
            stop_signal=signal.SIGINT,
        )

    async def _is_ready(self) -> bool:
        return await postgres_ready(self.port, self.dsn())

    async def _clear(self) -> None:
        """End what a killed server left: an orphan, its back ends, and a pid file that names some other program."""
        lock = self._data / "postmaster.pid"
        await end_orphan(lock, str(self._data), signal.SIGINT)
        if not await until(lambda: not proc.working_in(self._data), _BACKENDS_LIMIT):
            for pid in proc.working_in(self._data):
                os.kill(pid, signal.SIGKILL)
        if recorded_pid(lock) is not None:
            lock.unlink(missing_ok=True)


async def create_cluster(data: Path, binaries: PostgresBinaries, account: Account | None, password_file: Path) -> None:
    """Make a cluster whose superuser has that password; it is at `data` only when it is whole.

    Raises NoPostgresError with what `initdb` wrote.
    """
    fresh = data.with_name("data.new")
    await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if account is not None:
        os.chown(fresh, account.uid, account.gid)
    with _readable_by(account, password_file, data.with_name("pwfile")) as pwfile:
        options = (f"--username={_SUPERUSER}", "--encoding=UTF8", "--locale=C", "--no-instructions")
        secured = ("--auth=scram-sha-256", f"--pwfile={pwfile}")
        initdb = str(binaries.directory / "initdb")
        code, output = await run_to_end((initdb, "-D", str(fresh), *options, *secured), account=account)
    if code:
        raise NoPostgresError(f"initdb failed ({code}): {output}")
    fresh.rename(data)


@contextlib.contextmanager
def _readable_by(account: Account | None, secret: Path, copy: Path) -> Iterator[Path]:
    """A copy of a secret for the server's user alone, gone at the end."""
    write_text(copy, secret.read_text())
    try:
        if account is not None:
            os.chown(copy, account.uid, account.gid)
        yield copy
    finally:
        copy.unlink()


def require_same_major(data: Path, binaries: PostgresBinaries) -> None:
    """Raise NoPostgresError when the cluster was made by another major version."""
    made_by = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    if made_by != str(binaries.major):
        raise NoPostgresError(
            f"{data} was made by Postgres {made_by}, the one found is {binaries.major}: use the same, or remove the"
            " state directory"
        )
