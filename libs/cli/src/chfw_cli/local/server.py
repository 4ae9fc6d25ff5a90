"""What Kafka and Postgres have in common: prepared once, described to a supervisor, or run alone."""

import signal
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from chfw_cli.local import ports
from chfw_cli.local.output import Echo, silent
from chfw_cli.local.spec import ProcessSpec
from chfw_cli.local.state import StateDir
from chfw_cli.local.supervisor import Supervisor


class PortTakenError(Exception):
    """Another program listens on the port that this state directory keeps for a server."""


class LocalServer(ABC):
    """A server of a state directory. Alone: `start`, `stop`, `kill`. Under a supervisor: `prepare`, then `spec`."""

    name: str

    def __init__(self, state: StateDir, *, echo: Echo = silent) -> None:
        self.state = state
        self._echo = echo
        self._alone: Supervisor | None = None

    @abstractmethod
    async def prepare(self) -> None:
        """Make the data directory when there is none, write the settings, end what an earlier run left behind."""

    @abstractmethod
    def spec(self) -> ProcessSpec:
        """How to run it; only after `prepare`."""

    async def start(self) -> None:
        """Prepare and run it alone, without restarts; return when it is ready. Raises StartError."""
        await self.prepare()
        self._alone = Supervisor(self.state, restart=False, echo=self._echo)
        try:
            await self._alone.start(self.spec())
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End it in an orderly way; nothing when it does not run."""
        if self._alone is not None:
            await self._alone.stop_all()
            self._alone = None

    async def kill(self) -> None:
        """SIGKILL for the server and all it started; returns when it is gone."""
        if self._alone is not None:
            self._alone.kill(self.name, signal.SIGKILL)
            await self.stop()

    @property
    def pid(self) -> int | None:
        """The process that runs now, when it was started alone."""
        return self._alone.pid(self.name) if self._alone else None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def require_free(port: int, state: StateDir) -> None:
    """Raise PortTakenError when something listens where a server of this state directory belongs."""
    if not ports.is_free(port):
        raise PortTakenError(
            f"port {port}, kept for {state.root}, is used by another program: end that program, or remove the directory"
        )
