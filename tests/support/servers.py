"""Real servers for a whole test session, and directories that they may live in.

The servers run under a loop of their own in one background thread, so tests of any event loop can use them. A server
that cannot start fails the test; nothing here skips.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from chfw_cli.local.kafka import KafkaServer
from chfw_cli.local.postgres import PostgresServer
from chfw_cli.local.postgres_config import UNSAFE_FAST
from chfw_cli.local.server import LocalServer
from chfw_cli.local.state import StateDir
from chfw_common.runtime.kafka.access import KafkaAccess

T = TypeVar("T")
_LIMIT = 400.0
STRANGER = "chfw-stranger"
"""A user of the session's broker without any right."""


class LoopThread:
    """An event loop in a thread that lives until `close`; the servers' processes die with that thread at the latest."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="local servers", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Run the coroutine there and return what it returns, from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_LIMIT)

    def close(self) -> None:
        """End the thread."""
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass(frozen=True, slots=True)
class _Running:
    server: LocalServer
    loop: LoopThread

    def kill(self) -> None:
        """SIGKILL; returns when the server is gone. Start it again before the test ends."""
        self.loop.run(self.server.kill())

    def stop(self) -> None:
        """An orderly end. Start it again before the test ends."""
        self.loop.run(self.server.stop())

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """SIGSTOP: its connections stay open and nothing answers. SIGCONT at the end of the block."""
        pid = self.server.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def start(self) -> None:
        """Start it again, with its data, on its port."""
        self.loop.run(self.server.start())


@dataclass(frozen=True, slots=True)
class RunningKafka(_Running):
    """A broker with the users and without the topics of ours."""

    server: KafkaServer

    @property
    def bootstrap(self) -> str:
        """The broker's address."""
        return self.server.bootstrap

    @property
    def access(self) -> KafkaAccess:
        """How the administrator reaches it."""
        return self.server.access()

    def access_of(self, user: str) -> KafkaAccess:
        """How a user reaches it."""
        return self.server.access(user)


@dataclass(frozen=True, slots=True)
class RunningPostgres(_Running):
    """A Postgres with nothing in it. It does not survive a crash of the machine: profile `unsafe_fast`."""

    server: PostgresServer

    @property
    def admin_dsn(self) -> str:
        """The administrator's address."""
        return self.server.dsn()

    def dsn(self, database: str, user: str = "postgres") -> str:
        """The address of one database."""
        return self.server.dsn(database, user)


def temporary_state() -> Iterator[StateDir]:
    """A state directory below one that every user may traverse (pytest's own are closed), removed at the end."""
    above = Path(tempfile.mkdtemp(prefix="chfw-test-"))
    above.chmod(0o755)
    try:
        yield StateDir(above / "state").create()
    finally:
        shutil.rmtree(above, ignore_errors=True)


@pytest.fixture
def state_dir() -> Iterator[StateDir]:
    """An empty state directory for one test."""
    yield from temporary_state()


@pytest.fixture(scope="session")
def server_loop() -> Iterator[LoopThread]:
    """The thread that runs the session's servers."""
    loop = LoopThread()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def server_state() -> Iterator[StateDir]:
    """The state directory of the session's servers."""
    yield from temporary_state()


@pytest.fixture(scope="session")
def kafka_server(server_loop: LoopThread, server_state: StateDir) -> Iterator[RunningKafka]:
    """One broker for the session."""
    server = KafkaServer(server_state, strangers=(STRANGER,))
    server_loop.run(server.start())
    yield RunningKafka(server, server_loop)
    server_loop.run(server.stop())


@pytest.fixture(scope="session")
def postgres_server(server_loop: LoopThread, server_state: StateDir) -> Iterator[RunningPostgres]:
    """One Postgres for the session."""
    server = PostgresServer(server_state, profile=UNSAFE_FAST)
    server_loop.run(server.start())
    yield RunningPostgres(server, server_loop)
    server_loop.run(server.stop())
