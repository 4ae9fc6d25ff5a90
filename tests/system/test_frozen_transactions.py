"""A process that vanishes in the middle of a transaction: its locks go within seconds, and so does what it did."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from chfw_common.kernel.rollout import Mode
from chfw_common.runtime.database import open_database
from chfw_common.runtime.passwords import read_secret
from chfw_device_sim.settings import Settings as EdgeSettings
from tests.service.scheduler.stand import Stand
from tests.support.databases import name_of
from tests.support.holding import COMMITTED, LOST
from tests.support.servers import RunningPostgres
from tests.support.settings import nowhere
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.servers", "tests.support.databases"]

ROOT = Path(__file__).parents[2]
Spawn = Callable[..., "Holder"]


class Holder:
    """A process that holds a transaction open (tests/support/holding.py)."""

    def __init__(self, dsn: str, service: str, *settings: str) -> None:
        command = [sys.executable, "-m", "tests.support.holding", dsn, service, *settings]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ}
        )

    async def holds(self) -> None:
        """Return once it has done its work, and stands."""
        assert await self._line() == "holds"

    def freeze(self) -> None:
        """Stop it as a whole: it neither answers nor ends."""
        self._process.send_signal(signal.SIGSTOP)

    async def ends(self) -> str:
        """Let it go on; how its transaction ended."""
        self._process.send_signal(signal.SIGCONT)
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return await self._line()

    async def _line(self) -> str:
        assert self._process.stdout is not None
        return (await asyncio.to_thread(self._process.stdout.readline)).strip()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Starts holders, and ends them."""
    with contextlib.ExitStack() as stack:

        def made(dsn: str, service: str, *settings: str) -> Holder:
            holder = Holder(dsn, service, *settings)
            stack.callback(holder.close)
            return holder

        yield made


class Wire:
    """The network between a process and Postgres, which can be cut: then nothing passes, and nobody is told."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def listen(self) -> int:
        """Begin; gives the port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """From now on nothing passes."""
        self._open.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._to)
        self._ends += [writer, back]
        for source, target in ((reader, back), (there, writer)):
            self._tasks.add(asyncio.create_task(self._pass(source, target)))

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            await self._open.wait()
            target.write(data)
        target.close()

    async def close(self) -> None:
        """End whatever is left."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for end in self._ends:
            end.transport.abort()
        await asyncio.gather(*(end.wait_closed() for end in self._ends), return_exceptions=True)


@pytest.fixture
async def wire(chfw_dsn: str) -> AsyncIterator[Wire]:
    """A wire to the database's server."""
    parts = urlsplit(chfw_dsn)
    made = Wire(parts.hostname or "", parts.port or 0)
    yield made
    await made.close()


@pytest.fixture
async def stand(chfw_dsn: str) -> AsyncIterator[Stand]:
    """A scheduler."""
    made = Stand(await open_database(chfw_dsn, "scheduler"))
    yield made
    await made.database.close()


async def test_a_frozen_claim_does_not_keep_a_stop_from_being_stored(chfw_dsn: str, stand: Stand, spawn: Spawn) -> None:
    claiming = spawn(chfw_dsn, "scheduler")
    await claiming.holds()
    claiming.freeze()
    await stand.decide(1, Mode.STOP, halt=1)
    assert await stand.fetch("select epoch, mode from decision") == [(1, "stop")]
    assert await claiming.ends() == LOST
    assert await stand.fetch("select * from tick_call") == []


async def test_a_claim_that_is_cut_off_from_postgres_does_not_either(
    chfw_dsn: str, stand: Stand, spawn: Spawn, wire: Wire, postgres_server: RunningPostgres, tmp_path: Path
) -> None:
    port = await wire.listen()
    passwords = tmp_path / "pgpass"
    password = read_secret(postgres_server.server.password_file("postgres"))
    passwords.write_text(f"127.0.0.1:{port}:*:postgres:{password}\n")
    passwords.chmod(0o600)
    address = f"postgresql://postgres@127.0.0.1:{port}/{name_of(chfw_dsn)}?passfile={passwords}"
    claiming = spawn(address, "scheduler")
    await claiming.holds()
    wire.cut()
    await stand.decide(1, Mode.STOP, halt=1)
    assert await stand.fetch("select epoch, mode from decision") == [(1, "stop")]
    assert await stand.fetch("select * from tick_call") == []


@pytest.mark.parametrize("limit", ["forward", "idle"])
async def test_an_edge_frozen_after_its_look_at_the_clock_forwards_nothing(
    chfw_dsn: str, spawn: Spawn, limit: str
) -> None:
    """`forward_within` of the scheduler rests on this: Postgres ends what an edge does not commit in time."""
    settings = EdgeSettings(**nowhere())
    own = [f"{name}={value}" for name, value in settings.postgres().items()]
    assert own == ["transaction_timeout=10000ms"]
    if limit == "forward":
        own = ["transaction_timeout=1500ms", "idle_in_transaction_session_timeout=0"]
    forwarding = spawn(chfw_dsn, "device-sim", *own)
    await forwarding.holds()
    forwarding.freeze()
    database = await open_database(chfw_dsn, "governance")

    async def gone() -> bool:
        async with database.looking() as tx:
            return bool(
                await tx.fetchval(
                    """select count(*) = 0 from pg_stat_activity
                       where datname = current_database() and application_name = 'chfw-device-sim'"""
                )
            )

    await eventually(gone)
    assert await forwarding.ends() == LOST
    async with database.looking() as tx:
        assert await tx.fetchval("select count(*) from device_sim.device where activate_at is not null") == 0
    await database.close()


async def test_a_transaction_that_is_quick_enough_commits(chfw_dsn: str, stand: Stand, spawn: Spawn) -> None:
    """The control: the holder does commit when nobody stops it."""
    claiming = spawn(chfw_dsn, "scheduler")
    await claiming.holds()
    assert await claiming.ends() == COMMITTED
    assert await stand.fetch("select tick, calls from tick_call") == [("claim", 1)]
