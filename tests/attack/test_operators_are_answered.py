"""While Parties, or strangers, fill the public listener, operators are answered; and what is theirs is not public."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator

import httpx2
import pytest

from chfw_common.runtime.clock import stopwatch
from chfw_common.runtime.http.app import Door, create_app
from chfw_common.runtime.http.budget import BodyBounds
from chfw_common.runtime.http.commands import Commands
from chfw_common.runtime.http.listener import Limits, Listener
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.service import Service
from chfw_governance.service import NAME, build
from chfw_governance.settings import Settings
from tests.support.databases import Databases
from tests.support.listening import listening
from tests.support.release import RELEASE
from tests.support.serving import OpenTokens, Stand, bearer, standing
from tests.support.settings import nowhere
from tests.support.sockets import raw
from tests.support.waiting import eventually

DECISIONS = f"/v1/releases/{RELEASE}/decisions"
MOST = 12
PADDING = 170_000
STALL = 0.3
"""Seconds that the loop may stand; an idle machine shows 0.03, the code before this 1.1 and 488 MB."""


def _build(dsn: str) -> Service:
    return build(Settings(**nowhere(dsn)))


@pytest.fixture
async def stand(databases: Databases) -> AsyncIterator[Stand]:
    """Governance, which knows one release."""
    async with standing(databases, "chfw", databases.install, _build) as ready:
        await ready.announce()
        yield ready


@contextlib.asynccontextmanager
async def doors(stand: Stand) -> AsyncIterator[tuple[Listener, Listener]]:
    """Its public listener, which is small, and that of operators."""

    async def ready() -> None:
        return None

    metrics, commands = Metrics(NAME, ()), Commands(stand.database, stand.clock, Wake())
    public, operators = (
        create_app(
            stand.service,
            commands,
            OpenTokens(),
            metrics,
            ready,
            door=door,
            bounds=BodyBounds(1 << 20, 8),
            admission=None,
        )
        for door in (Door.PUBLIC, Door.OPERATORS)
    )
    async with listening(public, Limits(MOST, MOST)) as outside, listening(operators) as inside:
        yield outside, inside


async def status(listener: Listener, path: str, method: str = "GET", **arguments: object) -> int:
    """The status of one request."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{listener.port}", timeout=10) as client:
        return (await client.request(method, path, **arguments)).status_code  # type: ignore[arg-type]


async def test_what_is_for_operators_is_not_public(stand: Stand) -> None:
    async with doors(stand) as (outside, inside):
        token = bearer("dcc", role="DCC")
        for path, public, inner in (("/metrics", 404, 200), ("/readyz", 404, 200), ("/healthz", 200, 200)):
            assert (await status(outside, path), await status(inside, path)) == (public, inner)
        assert await status(outside, DECISIONS, headers=token) == 200
        assert await status(outside, DECISIONS, "POST", headers=token) == 405


async def test_a_decision_is_taken_while_the_public_listener_is_full(stand: Stand) -> None:
    async with doors(stand) as (outside, inside), contextlib.AsyncExitStack() as held:
        for _ in range(MOST):
            client = await held.enter_async_context(raw(outside.port))
            client.send("GET / HTTP/1.1\r\nX: ")

        async def full() -> bool:
            return len(outside.connections) == MOST

        await eventually(full)
        body = {"mode": "pilot", "reason": "The pilot may begin.", "confirmed_by": "the Panel"}
        headers = {**bearer("dcc", role="DCC"), "Idempotency-Key": '"k"'}
        begun = stopwatch()
        assert await status(inside, DECISIONS, "POST", headers=headers, json=body) == 201
        assert await status(inside, "/readyz") == 200
        assert await status(inside, "/metrics") == 200
        assert stopwatch() - begun < 5


def packed() -> bytes:
    """A short body that unpacks to millions of values, as the attack sent it."""
    noise = json.dumps("".join(chr(33 + (n * n * 7919) % 89) for n in range(PADDING)))
    return gzip.compress(f'{{"reason": {noise}, "waves": [{",".join(["{}"] * 5_000_000)}]}}'.encode())


@pytest.mark.parametrize("party", [None, "dcc"])
async def test_short_bodies_that_unpack_to_much_do_not_stop_the_loop(stand: Stand, party: str | None) -> None:
    body, longest = packed(), 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            begun = stopwatch()
            await asyncio.sleep(0.005)
            longest = max(longest, stopwatch() - begun)

    lines = [f"POST {DECISIONS} HTTP/1.1", "Host: x", "Content-Type: application/json", "Content-Encoding: gzip",
             'Idempotency-Key: "k"', f"Content-Length: {len(body)}", "Connection: close"]  # fmt: skip
    if party is not None:
        lines.append(f"Authorization: {bearer(party, role='DCC')['Authorization']}")

    async def send(port: int | None) -> int:
        async with raw(port) as client:
            client.send("\r\n".join([*lines, "", ""]).encode() + body)
            return int((await client.answer()).split()[1])

    async with doors(stand) as (_, inside), asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        sent = [group.create_task(send(inside.port)) for _ in range(4)]
        found = {await one for one in sent}
        watching.cancel()
    assert found <= ({401} if party is None else {413, 429, 503})
    assert longest < STALL


async def test_bodies_of_one_party_are_bounded_and_others_are_read(stand: Stand) -> None:
    """The process takes 8 bodies at once, a Party 2."""
    async with doors(stand) as (_, inside), contextlib.AsyncExitStack() as held:
        for _ in range(2):
            client = await held.enter_async_context(raw(inside.port))
            token = bearer("dcc", role="DCC")["Authorization"]
            client.send(f"POST {DECISIONS} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nIdempotency-Key: \"s\"\r\n"
                        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")  # fmt: skip
        body = {"mode": "pilot", "reason": "The pilot may begin.", "confirmed_by": "the Panel"}
        seen: list[int] = []

        async def refused() -> bool:
            headers = {**bearer("dcc", role="DCC"), "Idempotency-Key": f'"{len(seen)}"'}
            seen.append(await status(inside, DECISIONS, "POST", headers=headers, json=body | {"mode": "?"}))
            return seen[-1] == 429

        await eventually(refused)
        headers = {**bearer("other", role="DCC"), "Idempotency-Key": '"k"'}
        assert await status(inside, DECISIONS, "POST", headers=headers, json=body) == 201
        held.pop_all()
