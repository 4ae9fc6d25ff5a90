"""The rim as a server drives it: bodies that do not come, HEAD, and which methods a place has. Time is virtual."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import StreamingResponse

from chfw_common.runtime.http.app import create_app
from chfw_common.runtime.http.bodies import BodyLimits, read_body
from chfw_common.runtime.http.callers import caller
from chfw_common.runtime.http.json_route import SMALL, JsonRoute, takes
from chfw_common.runtime.http.shapes import Shape
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.service import Service
from tests.support.serving import OpenTokens, bearer

LIMIT = timedelta(seconds=120)


class Body(Shape):
    """A body."""

    n: int


def _router() -> APIRouter:
    return APIRouter(prefix="/v1", dependencies=[Depends(caller)], route_class=JsonRoute)


@dataclass
class Rim:
    """A service of nothing but routes."""

    pieces: int = 0
    ended: bool = False
    router: APIRouter = field(default_factory=_router)

    def app(self) -> FastAPI:
        """Its application."""

        @self.router.post("/json", openapi_extra=takes(SMALL))
        async def take(body: Body) -> dict[str, int]:
            return {"n": body.n}

        @self.router.post("/raw")
        async def take_raw(request: Request) -> dict[str, int]:
            return {"bytes": sum([len(piece) async for piece in read_body(request, BodyLimits(1 << 20, 100))])}

        @self.router.get("/json")
        async def show() -> dict[str, int]:
            return {"n": 1}

        @self.router.get("/endless")
        async def endless() -> StreamingResponse:
            return StreamingResponse(self._lines(), media_type="text/csv", headers={"X-Kind": "long"})

        nobody: Any = None

        async def ready() -> None:
            return None

        service = Service("rim", {}, routes=[self.router])
        return create_app(service, nobody, OpenTokens(), Metrics("rim", ()), ready, admission=None, body_time=LIMIT)

    async def _lines(self) -> AsyncIterator[bytes]:
        try:
            while True:
                self.pieces += 1
                yield b"line\r\n"
                await asyncio.sleep(1)
        finally:
            self.ended = True


@pytest.fixture
async def rim() -> AsyncIterator[tuple[Rim, httpx2.AsyncClient]]:
    """The routes, and a client of them."""
    made = Rim()
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(made.app()), base_url="http://rim", headers=bearer("p")
    ) as client:
        yield made, client


Sent = tuple[int, str, float]


async def _drip(app: FastAPI, path: str, pieces: list[tuple[float, bytes]], end: float | None) -> Sent:
    """Send pieces, each after so many seconds; say status, connection header and when the answer began."""
    script = [*((wait, {"type": "http.request", "body": piece, "more_body": True}) for wait, piece in pieces)]
    if end is not None:
        script.append((end, {"type": "http.request", "body": b"", "more_body": False}))
    told: list[Sent] = []
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def receive() -> dict[str, Any]:
        if not script:
            await asyncio.Event().wait()
        wait, message = script.pop(0)
        await asyncio.sleep(wait)
        return message

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = {name.decode(): value.decode() for name, value in message["headers"]}
            told.append((message["status"], headers.get("connection", ""), loop.time() - began))

    headers = [(b"content-type", b"application/json"), (b"host", b"rim"), (b"authorization", b"Bearer p|u|IS")]
    scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "scheme": "http",
             "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers,
             "root_path": "", "client": ("127.0.0.1", 1), "server": ("rim", 80)}  # fmt: skip
    await app(scope, receive, send)
    (only,) = told
    return only


@pytest.mark.looptime
@pytest.mark.parametrize("path", ["/v1/json", "/v1/raw"])
async def test_a_body_that_drips_on_is_ended_when_its_time_is_over(path: str) -> None:
    status, connection, after = await _drip(Rim().app(), path, [(10, b"1")] * 100, 10)
    assert (status, connection, after) == (408, "close", 120)


@pytest.mark.looptime
@pytest.mark.parametrize("path", ["/v1/json", "/v1/raw"])
async def test_a_body_that_stops_midway_is_ended(path: str) -> None:
    assert await _drip(Rim().app(), path, [(1, b'{"n"')], None) == (408, "close", 120)


@pytest.mark.looptime
@pytest.mark.parametrize("path", ["/v1/json", "/v1/raw"])
async def test_a_slow_body_that_is_in_time_is_taken(path: str) -> None:
    pieces = [(10.0, piece) for piece in (b"{", b'"n"', b":", b"1", b"}")]
    assert await _drip(Rim().app(), path, pieces, 69) == (200, "", 119)


@pytest.mark.parametrize("path", ["/healthz", "/openapi.json", "/v1/json", "/nowhere"])
async def test_head_is_get_without_content(rim: tuple[Rim, httpx2.AsyncClient], path: str) -> None:
    _, client = rim
    shown, head = await client.get(path), await client.head(path)
    assert head.status_code == shown.status_code
    assert (head.content, head.headers["content-type"]) == (b"", shown.headers["content-type"])
    assert head.headers["content-length"] == str(len(shown.content))


async def test_head_of_a_long_list_reads_no_more_than_its_beginning(rim: tuple[Rim, httpx2.AsyncClient]) -> None:
    routes, client = rim
    async with asyncio.timeout(10):
        head = await client.head("/v1/endless")
    assert (head.status_code, head.content, head.headers["x-kind"]) == (200, b"", "long")
    assert routes.pieces <= 1
    assert routes.ended or not routes.pieces


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/json", {"GET", "HEAD", "POST"}),
        ("HEAD", "/v1/raw", {"POST"}),
        ("GET", "/v1/raw", {"POST"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
        ("PUT", "/v1/endless", {"GET", "HEAD"}),
    ],
)
async def test_a_method_that_a_place_has_not_is_told_which_it_has(
    rim: tuple[Rim, httpx2.AsyncClient], method: str, path: str, allowed: set[str]
) -> None:
    answer = await rim[1].request(method, path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == allowed
