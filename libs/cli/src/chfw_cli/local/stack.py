"""Everything together: Postgres, Kafka, then what must be installed into them, then the services."""

import asyncio
import contextlib
import functools
import importlib
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Self, cast

from chfw_cli.local import record
from chfw_cli.local.kafka import KafkaServer
from chfw_cli.local.output import Echo, silent
from chfw_cli.local.postgres import PostgresServer
from chfw_cli.local.postgres_config import DEMO, Profile
from chfw_cli.local.record import NotUpError, StackRecord
from chfw_cli.local.services import (
    DATABASE,
    SERVICES,
    ClockName,
    Surroundings,
    operator_url,
    service_spec,
    service_url,
)
from chfw_cli.local.state import StateDir
from chfw_cli.local.supervisor import STOP_LIMIT, ProcessStatus, Supervisor, together
from chfw_common.runtime.kafka.access import KafkaAccess

Prepare = Callable[[PostgresServer, KafkaServer, StateDir], Awaitable[None]]
"""Called with the servers and the state directory, before any service starts."""

_REPORT_INTERVAL = 1.0


class AlreadyUpError(Exception):
    """A stack runs from this state directory already."""


class Stack:
    """The servers and services of a state directory. An async context: entering starts all, leaving ends all."""

    def __init__(
        self,
        state: StateDir,
        *,
        clock: ClockName = "real",
        services: Sequence[str] = SERVICES,
        prepare: Prepare | None = None,
        profile: Profile = DEMO,
        extra_env: Mapping[str, str] | None = None,
        echo: Echo = silent,
        patient: bool = False,
    ) -> None:
        self.state = state.create()
        self.postgres = PostgresServer(state, profile=profile)
        self.kafka = KafkaServer(state)
        self.supervisor = Supervisor(state, echo=echo)
        self.urls = {name: service_url(name, state) for name in services}
        self.operator_urls = {name: operator_url(name, state) for name in services}
        self.clock: ClockName = clock
        self._services, self._prepare = tuple(services), prepare
        self._extra_env, self._patient = extra_env, patient
        self._reporter: asyncio.Task[None] | None = None

    @property
    def admin_dsn(self) -> str:
        """The administrator's address of the Postgres server."""
        return self.postgres.dsn()

    @property
    def kafka_access(self) -> KafkaAccess:
        """How the administrator reaches Kafka."""
        return self.kafka.access()

    async def start(self) -> None:
        """Return when everything is ready; a `patient` stack also when a service runs and is not ready in time, for a
        person may have to mend that with the stack up. Raises AlreadyUpError, StartError or what says why a server
        cannot run; then nothing is left running."""
        self._claim()
        try:
            self._reporter = asyncio.create_task(self._report_for_ever(), name="report processes")
            await together(self._start_server(self.postgres), self._start_server(self.kafka))
            await (self._prepare or _install(self.clock))(self.postgres, self.kafka, self.state)
            given = Surroundings(
                state=self.state,
                address=functools.partial(self.postgres.address, DATABASE),
                database_password_file=self.postgres.password_file,
                kafka=self.kafka.access,
                clock=self.clock,
                extra_env=self._extra_env,
            )
            specs = [service_spec(name, given) for name in self._services]
            await self.supervisor.start_all(specs, patient=self._patient)
            record.write_processes(self.state, self.supervisor.status())
        except BaseException:
            await self.stop()
            raise

    async def stop(self, limit: float = STOP_LIMIT) -> None:
        """End everything within the limit, services before servers."""
        try:
            await self.supervisor.stop_all(limit)
            if self._reporter is not None:
                self._reporter.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._reporter
                self._reporter = None
        finally:
            record.remove(self.state)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a process (`postgres`, `kafka` or a service); what dies is started again."""
        self.supervisor.kill(name, number)

    def kill_all(self) -> None:
        """SIGKILL for everything, while `stop` is under way."""
        self.supervisor.kill_all()

    async def wait_ready(self, name: str, limit: float = 60.0) -> None:
        """Return once the process of that name is ready (again)."""
        await self.supervisor.wait_ready(name, limit)

    def status(self) -> tuple[ProcessStatus, ...]:
        """How each process does."""
        return self.supervisor.status()

    def peak_rss_mb(self) -> dict[str, float]:
        """The most resident memory each process has held."""
        return self.supervisor.peak_rss_mb()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _start_server(self, server: PostgresServer | KafkaServer) -> None:
        await server.prepare()
        await self.supervisor.start(server.spec())

    def _claim(self) -> None:
        with contextlib.suppress(NotUpError):
            found = StackRecord.read(self.state)
            raise AlreadyUpError(f"already up in {self.state.root}, supervised by process {found.supervisor_pid}")
        StackRecord.of_this_process(
            admin_dsn=self.admin_dsn,
            kafka=self.kafka_access,
            clock=self.clock,
            urls=self.urls,
            operator_urls=self.operator_urls,
        ).write(self.state)

    async def _report_for_ever(self) -> None:
        while True:
            record.write_processes(self.state, self.supervisor.status())
            await asyncio.sleep(_REPORT_INTERVAL)


def _install(clock: ClockName) -> Prepare:
    """The step that makes a fresh Postgres and Kafka ours; loaded late because it pulls in every service."""
    module = importlib.import_module("chfw_cli.local.install")
    return cast("Prepare", module.install if clock == "real" else module.install_paced)
