"""Who is not admitted is answered before a byte of the body is received: every route, every service, both listeners."""

import gzip
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.types import Message

from chfw_cli.tokens import AUDIENCE, Issuer
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.roles import Role
from chfw_common.runtime.clock import RealClock
from chfw_common.runtime.database import open_database
from chfw_common.runtime.http.app import Door, create_app
from chfw_common.runtime.http.callers import TokenVerifier, caller
from chfw_common.runtime.http.commands import Commands
from chfw_common.runtime.http.guard import UnguardedRouteError
from chfw_common.runtime.http.json_route import JsonRoute, UnstatedLimitError
from chfw_common.runtime.http.keys import KeyFile
from chfw_common.runtime.http.shapes import Shape
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.service import Service
from chfw_common.runtime.settings import LOCAL_ISSUER
from tests.service.documents.stand import composed
from tests.service.documents.uses import USES, Use

PARTY = PartyId("elec")
BODIES: dict[str, dict[str, str]] = {
    "enormous": {"Content-Length": str(10 << 30)},
    "packed": {"Content-Length": "170000", "Content-Encoding": "gzip"},
    "never ending": {"Transfer-Encoding": "chunked"},
}
MOST = gzip.compress(b"[" * (1 << 20))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the keys of the issuer are."""
    return tmp_path_factory.mktemp("keys")


async def _ready() -> None:
    return None


def door_of(service: Service, door: Door, keys: Path, commands: Commands | None = None) -> FastAPI:
    """One application of a service, with real tokens; nothing is behind its routes unless something is given."""
    behind: Any = commands
    verifier = TokenVerifier(KeyFile(keys / "jwks.json"), issuer=LOCAL_ISSUER, audience=AUDIENCE)
    return create_app(service, behind, verifier, Metrics(service.name, ()), _ready, door=door, admission=None)


@dataclass
class Sender:
    """A client that counts what is received of its body, and never ends it."""

    received: int = 0
    told: list[Message] = field(default_factory=list)

    async def receive(self) -> Message:
        """One more piece."""
        self.received += len(MOST)
        return {"type": "http.request", "body": MOST, "more_body": True}

    async def send(self, message: Message) -> None:
        """What is answered."""
        self.told.append(message)

    async def call(self, app: FastAPI, method: str, path: str, headers: dict[str, str]) -> int:
        """The status of the answer."""
        lines = [(name.lower().encode(), value.encode()) for name, value in {"Host": "x", **headers}.items()]
        await app(
            {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
             "scheme": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
             "headers": lines, "root_path": "", "client": ("127.0.0.1", 1), "server": ("x", 80)},
            self.receive, self.send,
        )  # fmt: skip
        return int(self.told[0]["status"])


def strangers(issuer: Issuer, use: Use) -> Iterator[tuple[int, dict[str, str]]]:
    """Tokens that are not admitted to a route, and the status of their refusal."""
    yield 401, {}
    yield 401, {"Authorization": "Bearer none"}
    user = UserId("elec-is")
    expired = issuer.token(PARTY, user, use.role, timedelta(hours=-1))
    yield 401, {"Authorization": f"Bearer {expired}"}
    for role in set(Role) - use.allowed:
        yield 403, {"Authorization": f"Bearer {issuer.token(PARTY, user, role)}"}


def routes_of(service: Service) -> Iterator[tuple[Door, str]]:
    """Every route, as it stands in a document, with a listener that serves it."""
    for door, routers in ((Door.PUBLIC, service.routes), (Door.OPERATORS, service.operator_routes)):
        for router in routers:
            for route in router.routes:
                for method in getattr(route, "methods", None) or ():
                    yield door, f"{method} {getattr(route, 'path', '')}"


@pytest.mark.parametrize("name", USES)
@pytest.mark.parametrize("body", BODIES)
async def test_no_byte_of_a_strangers_body_is_received(name: str, body: str, keys: Path) -> None:
    issuer, service = Issuer.open(keys), composed(name)
    seen = set()
    for door, route in routes_of(service):
        app = door_of(service, door, keys)
        use = USES[name][route]
        seen.add(route)
        method, _, path = route.partition(" ")
        path = path.format(release_id="CH9-9-2", eui64="00-00-00-00-00-00-00-01", request_id="0" * 32)
        for status, headers in strangers(issuer, use):
            sender = Sender()
            stated = {"Content-Type": "application/json", "Idempotency-Key": '"k"', **BODIES[body], **headers}
            assert await sender.call(app, method, path, stated) == status, (route, headers)
            assert sender.received == 0, (route, headers)
    assert seen == set(USES[name])


async def test_what_is_open_to_everybody_receives_no_body(keys: Path) -> None:
    Issuer.open(keys)
    for door in Door:
        app = door_of(composed("smi"), door, keys)
        for method, path in (("GET", "/healthz"), ("POST", "/healthz"), ("GET", "/nowhere"), ("GET", "/openapi.json")):
            sender = Sender()
            await sender.call(app, method, path, BODIES["never ending"])
            assert sender.received == 0, path


class _Body(Shape):
    n: int


def test_no_application_is_built_with_a_route_that_admits_anybody(keys: Path) -> None:
    router = APIRouter()

    @router.get("/open")
    async def reading() -> None: ...

    with pytest.raises(UnguardedRouteError, match="/open"):
        door_of(Service("x", {}, routes=[router]), Door.PUBLIC, keys)


def test_no_json_route_is_declared_without_the_size_of_its_body() -> None:
    router = APIRouter(dependencies=[Depends(caller)], route_class=JsonRoute)
    with pytest.raises(UnstatedLimitError, match="/unstated"):

        @router.post("/unstated")
        async def taking(body: _Body) -> None: ...


@pytest.fixture
async def quotas(chfw_dsn: str) -> AsyncIterator[Commands]:
    """What intake asks before it reads a body: whether the Party may send a request at all."""
    database = await open_database(chfw_dsn, "instruction")
    yield Commands(database, RealClock(), Wake())
    await database.close()


@pytest.mark.parametrize("name", USES)
async def test_one_byte_more_than_a_route_states_is_refused(name: str, keys: Path, quotas: Commands) -> None:
    issuer, service = Issuer.open(keys), composed(name)
    for door, route in routes_of(service):
        app = door_of(service, door, keys, quotas if name == "instruction" else None)
        method, _, path = route.partition(" ")
        operation = app.openapi()["paths"][path][method.lower()]
        size = operation.get("x-body-limit")
        assert (size is None) == ("requestBody" not in operation)
        if size is None:
            continue
        assert str(size >> 10) in operation["requestBody"]["description"]
        if name == "instruction":
            # It looks at the Party's quota first, in Postgres: tests/service/instruction/test_forms.py has its bodies.
            continue
        path = path.format(release_id="CH9-9-2")
        token = issuer.token(PARTY, UserId("elec-is"), USES[name][route].role)
        sender = Sender()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json",
                   "Idempotency-Key": '"k"', "Content-Length": str(size + 1)}  # fmt: skip
        assert await sender.call(app, method, path, headers) == 413
        assert sender.received == 0
        assert json.loads(sender.told[1]["body"])["code"] == "too_large"
