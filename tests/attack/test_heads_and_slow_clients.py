"""Clients that send too much of a head, or too slowly, or take nothing: each is ended, and others are served."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta

import httpx2
import pytest
from fastapi import FastAPI

from chfw_common.runtime.http.lines import Lines
from chfw_common.runtime.http.listener import Limits, Listener
from chfw_common.runtime.http.protocol import HEAD_BYTES, PIPELINED, TARGET_BYTES, UNREAD_BYTES
from tests.support.listening import listening
from tests.support.sockets import raw
from tests.support.waiting import eventually
from tests.unit.common.test_http_rim import Rim

MANY = 100 << 20
SHORT = timedelta(milliseconds=300)
SOON = 10.0
TOKEN = "Authorization: Bearer p|u|IS\r\n"
CHUNKED = f"POST /v1/json HTTP/1.1\r\n{TOKEN}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
HEALTH = "GET /healthz HTTP/1.1\r\nHost: x\r\n"


def app() -> FastAPI:
    """Routes that take a body, that never end, and one that gives as much as it can."""
    rim = Rim()

    async def pieces() -> AsyncGenerator[bytes, None]:
        while True:
            yield b"x" * 65_536

    @rim.router.get("/flood")
    async def flood() -> Lines:
        return Lines(pieces(), "text/csv", {})

    return rim.app()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    """A public listener with short times; at most 20 connections, 15 of one address."""
    async with listening(app(), Limits(20, 15, SHORT, SHORT)) as found:
        yield found


async def health(listener: Listener) -> int:
    """The status of a plain request."""
    async with httpx2.AsyncClient() as client:
        return (await client.get(f"http://127.0.0.1:{listener.port}/healthz")).status_code


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (f"{HEALTH}X: ", b"a" * 65_536),
        (HEALTH, b"X: a\r\n" * 1_000),
        ("GET /", b"a" * 65_536),
        ("GET /healthz?", b"a=1&" * 10_000),
        ("", b"\r\n" * 10_000),
        (f"{CHUNKED}1\r\n{{\r\n0\r\nX: ", b"a" * 65_536),
        (f"{CHUNKED}1;x=", b"a" * 65_536),
    ],
    ids=["one header", "many headers", "path", "query", "empty lines", "trailer", "extension of a chunk"],
)  # fmt: skip
async def test_a_head_without_end_is_cut_off(listener: Listener, start: str, piece: bytes) -> None:
    async with raw(listener.port) as client, asyncio.timeout(SOON):
        client.send(start)
        assert await client.flood(piece, MANY) < MANY / 8
        await client.answer()
    assert await health(listener) == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"{HEALTH}X: {'a' * HEAD_BYTES}\r\n\r\n", 431),
        (HEALTH + "X: a\r\n" * (HEAD_BYTES // 6) + "\r\n", 431),
        (f"GET /{'a' * TARGET_BYTES} HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (f"{HEALTH}X: {'a' * (HEAD_BYTES - 200)}\r\nConnection: close\r\n\r\n", 200),
        (f"GET /healthz?{'a' * TARGET_BYTES} HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        ("NONSENSE\r\n\r\n", 400),
    ],
)
async def test_a_long_head_is_told_its_bound(listener: Listener, head: str, status: int) -> None:
    async with raw(listener.port) as client, asyncio.timeout(SOON):
        client.send(head)
        assert (await client.answer()).startswith(f"HTTP/1.1 {status} ")


@pytest.mark.parametrize("begun", ["", "G", "GET / HTTP/1.1\r\n", HEALTH, f"{HEALTH}X: a", "\r\n"])
async def test_a_head_that_does_not_come_is_not_waited_for(listener: Listener, begun: str) -> None:
    async with raw(listener.port) as client, asyncio.timeout(SOON):
        client.send(begun)
        answer = await client.answer()
        assert answer.startswith("HTTP/1.1 408 ") == bool(begun.strip())


async def test_a_connection_that_was_used_is_not_kept_by_drips(listener: Listener) -> None:
    """Each byte set uvicorn's own time for idle connections back."""
    for drip in (b"\r\n", b"G"):
        async with raw(listener.port) as client, asyncio.timeout(SOON):
            client.send(f"{HEALTH}\r\n")
            assert "200 OK" in await client.head()
            dripping = asyncio.create_task(client.drip(drip, 0.1))
            await client.answer()
            dripping.cancel()
            await asyncio.gather(dripping, return_exceptions=True)


async def test_half_open_requests_do_not_keep_others_out(listener: Listener) -> None:
    async with contextlib.AsyncExitStack() as held:
        for _ in range(60):
            with contextlib.suppress(ConnectionError):
                client = await held.enter_async_context(raw(listener.port))
                client.send(HEALTH)

        async def answered() -> bool:
            with contextlib.suppress(httpx2.TransportError):
                return await health(listener) == 200
            return False

        await eventually(answered, SOON)
    assert len(listener.connections) <= 20


async def test_requests_of_one_address_are_bounded_and_those_under_way_are_kept() -> None:
    async with listening(app(), Limits(20, 3)) as listener, contextlib.AsyncExitStack() as held, asyncio.timeout(30):
        for _ in range(3):
            client = await held.enter_async_context(raw(listener.port))
            client.send(f"GET /v1/endless HTTP/1.1\r\nHost: x\r\n{TOKEN}\r\n")
            assert "200 OK" in await client.head()
        async with raw(listener.port) as refused:
            answer = await refused.answer()
            assert answer.startswith("HTTP/1.1 503 ")
            assert "retry-after: 5" in answer.lower()
        assert len(listener.connections) == 3


async def test_a_full_listener_lets_one_that_waits_go_and_not_one_that_works() -> None:
    async with listening(app(), Limits(3, 100)) as listener, contextlib.AsyncExitStack() as held:
        working = await held.enter_async_context(raw(listener.port))
        working.send(f"GET /v1/endless HTTP/1.1\r\nHost: x\r\n{TOKEN}\r\n")
        assert "200 OK" in await working.head()
        waiting = [await held.enter_async_context(raw(listener.port)) for _ in range(2)]

        async def counted() -> bool:
            return len(listener.connections) == 3

        await eventually(counted, SOON)
        assert await health(listener) == 200
        assert await waiting[0].answer() == ""
        assert await working.reader.read(10)


async def test_who_does_not_take_an_answer_is_ended(listener: Listener) -> None:
    async def gone() -> bool:
        return len(listener.connections) == 0

    for path in ("/v1/flood", "/openapi.json"):
        async with raw(listener.port, window=2048) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n{TOKEN}\r\n" * 4)

            await eventually(gone, SOON)


async def test_requests_that_wait_behind_an_answer_are_few(listener: Listener) -> None:
    async with raw(listener.port) as client, asyncio.timeout(SOON):
        client.send(f"GET /v1/endless HTTP/1.1\r\nHost: x\r\n{TOKEN}\r\n" + f"{HEALTH}\r\n" * (PIPELINED + 2))
        await client.answer()
    assert await health(listener) == 200


async def test_pipelined_requests_are_answered_in_turn(listener: Listener) -> None:
    async with raw(listener.port) as client, asyncio.timeout(SOON):
        client.send(f"{HEALTH}\r\n" * (PIPELINED - 1) + f"{HEALTH}Connection: close\r\n\r\n")
        assert (await client.answer()).count("HTTP/1.1 200 OK") == PIPELINED


@pytest.mark.parametrize("stated", ["Transfer-Encoding: chunked", f"Content-Length: {MANY}"])
async def test_the_rest_of_a_body_that_nobody_wants_is_not_read_for_long(listener: Listener, stated: str) -> None:
    async with raw(listener.port) as client, asyncio.timeout(SOON):
        client.send(f"POST /v1/json HTTP/1.1\r\nHost: x\r\n{stated}\r\n\r\n")
        assert "401 Unauthorized" in await client.head()
        piece = b"ffff\r\n" + b"a" * 65_535 + b"\r\n" if "chunked" in stated else b"a" * 65_535
        assert await client.flood(piece, MANY) < UNREAD_BYTES * 16


async def test_a_connection_goes_on_after_a_body_that_nobody_wanted(listener: Listener) -> None:
    async with raw(listener.port) as client, asyncio.timeout(SOON):
        client.send(f"POST /v1/json HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 19}\r\n\r\n")
        assert "401 Unauthorized" in await client.head()
        client.send(b"a" * (1 << 19))
        client.send(f"{HEALTH}Connection: close\r\n\r\n")
        assert "HTTP/1.1 200 OK" in await client.answer()


async def test_nobody_is_asked_to_send_a_body_before_he_is_known(listener: Listener) -> None:
    async with raw(listener.port) as client, asyncio.timeout(SOON):
        client.send("POST /v1/json HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
        assert (await client.head()).startswith("HTTP/1.1 401 ")
