"""The rim behind the real HTTP server: a client that stops sending is answered and cut off, and HEAD leaves a
connection usable."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.support.listening import listening
from tests.unit.common.test_http_rim import Rim

TOKEN = "Authorization: Bearer p|u|IS"
SLOW = timedelta(seconds=1)
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def serving(rim: Rim) -> AsyncIterator[int]:
    """The port of a server with the routes."""
    app = rim.app()
    app.state.body_time = SLOW
    async with listening(app) as listener:
        assert listener.port is not None
        yield listener.port


@pytest.mark.parametrize("head", ["Content-Length: 100", "Transfer-Encoding: chunked"])
async def test_who_stops_in_the_middle_of_a_body_is_answered_and_cut_off(head: str) -> None:
    async with serving(Rim()) as port, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = ["POST /v1/json HTTP/1.1", "Host: x", TOKEN, "Content-Type: application/json", head, "", ""]
        writer.write("\r\n".join(lines).encode())
        answer = (await reader.read()).decode()
        assert answer.startswith("HTTP/1.1 408 ")
        assert '"code":"body_too_slow"' in answer
        assert "connection: close" in answer.lower()
        writer.close()


async def test_head_of_an_endless_list_ends_and_the_connection_goes_on() -> None:
    rim = Rim()
    async with serving(rim) as port, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for path in ("/v1/endless", "/healthz", "/v1/endless", "/nowhere"):
            writer.write(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n{TOKEN}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert head.startswith("HTTP/1.1 404" if path == "/nowhere" else "HTTP/1.1 200")
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b'{"service":"rim","loop":"turns"}')
        writer.close()
