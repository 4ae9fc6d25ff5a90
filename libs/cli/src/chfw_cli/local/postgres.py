"""A real Postgres on loopback: cluster of its own, C collation, UTF-8, no passwords."""

import asyncio
import os
import shutil
import signal
from pathlib import Path

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
from chfw_cli.local.postgres_config import DEMO, Profile, postgresql_conf
from chfw_cli.local.probes import postgres_ready
from chfw_cli.local.server import LocalServer, require_free
from chfw_cli.local.spec import Account, ProcessSpec
from chfw_cli.local.state import StateDir, write_text

_SUPERUSER = "postgres"
_PRELOAD = "pg_stat_statements"
_BACKENDS_LIMIT = 5.0


class PostgresServer(LocalServer):
    """The Postgres of a state directory. Data and port outlive restarts.

    Roles have no passwords and any program on this machine may connect over loopback: for development only.
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
        self._home = state.directory("postgres")
        self._data = self._home / "data"
        self._binaries: PostgresBinaries | None = None
        self._account: Account | None = None

    def dsn(self, database: str = "postgres", user: str = _SUPERUSER) -> str:
        """The address of a database for a user; as it stands, that of the administrator."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    async def prepare(self) -> None:
        """Find the programs and the user, end an orphaned server, make the cluster once, write the settings."""
        account = self._account = server_account()
        require_reachable(self._home, account)
        binaries = self._binaries = await asyncio.to_thread(find_binaries, self._home / "dist", account)
        await self._clear()
        require_free(self.port, self.state)
        if not self._data.exists():
            await create_cluster(self._data, binaries, account)
        require_same_major(self._data, binaries)
        preload = (_PRELOAD,) if binaries.has_module(_PRELOAD) else ()
        write_text(self._home / "postgresql.conf", postgresql_conf(self._profile, port=self.port, preload=preload))

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
        return await postgres_ready(self.port, _SUPERUSER)

    async def _clear(self) -> None:
        """End what a killed server left: an orphan, its back ends, and a pid file that names some other program."""
        lock = self._data / "postmaster.pid"
        await end_orphan(lock, str(self._data), signal.SIGINT)
        if not await until(lambda: not proc.working_in(self._data), _BACKENDS_LIMIT):
            for pid in proc.working_in(self._data):
                os.kill(pid, signal.SIGKILL)
        if recorded_pid(lock) is not None:
            lock.unlink(missing_ok=True)


async def create_cluster(data: Path, binaries: PostgresBinaries, account: Account | None) -> None:
    """Make a cluster; it is at `data` only when it is whole. Raises NoPostgresError with what `initdb` wrote."""
    fresh = data.with_name("data.new")
    await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if account is not None:
        os.chown(fresh, account.uid, account.gid)
    options = ("--username", _SUPERUSER, "--encoding=UTF8", "--locale=C", "--auth=trust", "--no-instructions")
    code, output = await run_to_end((str(binaries.directory / "initdb"), "-D", str(fresh), *options), account=account)
    if code:
        raise NoPostgresError(f"initdb failed ({code}): {output}")
    fresh.rename(data)


def require_same_major(data: Path, binaries: PostgresBinaries) -> None:
    """Raise NoPostgresError when the cluster was made by another major version."""
    made_by = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    if made_by != str(binaries.major):
        raise NoPostgresError(
            f"{data} was made by Postgres {made_by}, the one found is {binaries.major}: use the same, or remove the"
            " state directory"
        )
