"""An export whose client is gone, or does not read, holds nothing: its Party and all others are served at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest

from chfw_common.runtime.http.listener import Limits, Listener
from chfw_common.runtime.http.protocol import BoundedProtocol
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.service import Service
from chfw_notifier.service import build
from chfw_notifier.settings import Settings
from tests.service.notifier.test_estate import fill_many
from tests.support.databases import Databases
from tests.support.listening import listening
from tests.support.serving import Stand, app_of, bearer, standing
from tests.support.settings import nowhere
from tests.support.sockets import Raw, raw
from tests.support.waiting import eventually

HUBS = 50_000
LINES = HUBS + 1
WINDOW = 4096
SOON = 5.0
ANSWER = timedelta(seconds=1)
REQUEST = "{method} /v1/estate HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nAccept: text/csv\r\n\r\n"


def _build(dsn: str) -> Service:
    return build(Settings(**nowhere(dsn)))


@pytest.fixture
async def stand(databases: Databases) -> AsyncIterator[Stand]:
    """A notifier whose Party `elec` has many hubs."""
    async with standing(databases, "chfw", databases.install, _build) as ready:
        await fill_many(ready, HUBS)
        yield ready


@pytest.fixture
async def listener(stand: Stand) -> AsyncIterator[Listener]:
    """Its public listener. A client may take nothing for a second."""
    app = app_of(stand.service, stand.database, stand.clock, Metrics("notifier", ()))
    async with listening(app, Limits(answer=ANSWER)) as found:
        yield found


def ask(client: Raw, method: str = "GET", party: str = "elec") -> None:
    """Begin an export."""
    client.send(REQUEST.format(method=method, token=bearer(party)["Authorization"]))


async def nothing_is_left(stand: Stand) -> None:
    """No session of the service is in a transaction, and the Party gets a whole export."""

    async def idle() -> bool:
        rows = await stand.fetch(
            """select state from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
                 and application_name = 'chfw-notifier' and xact_start is not null"""
        )
        return not rows

    await eventually(idle, SOON)


async def served(listener: Listener) -> None:
    """The Party gets a whole export."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{listener.port}", timeout=20) as client:
        answers: list[httpx2.Response] = []

        async def whole() -> bool:
            answers.append(await client.get("/v1/estate", headers={**bearer("elec"), "Accept": "text/csv"}))
            return answers[-1].status_code == 200

        await eventually(whole, SOON)
    assert answers[-1].text.count("\n") == LINES


async def test_who_is_gone_in_the_middle_leaves_nothing(stand: Stand, listener: Listener) -> None:
    for end in ("reset", "closed", "reset at once"):
        async with raw(listener.port, window=WINDOW) as client:
            ask(client)
            if end != "reset at once":
                assert "200 OK" in await client.head()
                await client.reader.read(1000)
            (client.reset if end.startswith("reset") else client.writer.close)()
        await nothing_is_left(stand)
        await served(listener)


async def test_who_never_reads_is_ended(stand: Stand, listener: Listener) -> None:
    async with raw(listener.port, window=WINDOW) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        ask(client)
        await nothing_is_left(stand)
        await served(listener)


async def test_head_of_an_export_holds_nothing(stand: Stand, listener: Listener) -> None:
    async with raw(listener.port) as client:
        for _ in range(3):
            ask(client, "HEAD")
            assert "200 OK" in await client.head()
        await nothing_is_left(stand)
    await served(listener)


async def test_slow_parties_do_not_lock_out_another(listener: Listener) -> None:
    """Five that never read: four were all that there was room for."""
    async with asyncio.TaskGroup() as clients:
        held = asyncio.Event()

        async def slow(party: str) -> None:
            async with raw(listener.port, window=WINDOW) as client:
                client.writer.transport.pause_reading()  # type: ignore[attr-defined]
                ask(client, party=party)
                await held.wait()

        for number in range(5):
            clients.create_task(slow(f"slow-{number}"))
        try:
            await served(listener)
        finally:
            held.set()


async def test_a_listener_that_stops_ends_what_is_under_way(stand: Stand) -> None:
    app = app_of(stand.service, stand.database, stand.clock, Metrics("notifier", ()))
    async with contextlib.AsyncExitStack() as clients:
        async with listening(app) as listener:
            client = await clients.enter_async_context(raw(listener.port, window=WINDOW))
            ask(client)
            assert "200 OK" in await client.head()
        await nothing_is_left(stand)
    async with listening(app) as again:
        await served(again)


async def test_a_failure_in_the_middle_cuts_the_answer_and_leaves_nothing(stand: Stand) -> None:
    """What was sent must not look whole: the last chunk is missing."""
    app = app_of(stand.service, stand.database, stand.clock, Metrics("notifier", ()))
    async with listening(app) as listener, raw(listener.port, window=WINDOW) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        ask(client)

        async def waits() -> bool:
            return any(one.flow.write_paused for one in listener.connections.all() if isinstance(one, BoundedProtocol))

        await eventually(waits, SOON)
        async with stand.database.transaction() as tx:
            await tx.execute("alter schema smi_published rename to gone")
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert not (await client.answer()).endswith("0\r\n\r\n")
    async with stand.database.transaction() as tx:
        await tx.execute("alter schema gone rename to smi_published")
    await nothing_is_left(stand)
