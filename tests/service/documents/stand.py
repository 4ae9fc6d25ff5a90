"""A service behind its routes, with something to find in it, real tokens, and the document it publishes."""

import contextlib
import functools
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from chfw_cli.simulated import COMPOSITIONS
from chfw_cli.tokens import AUDIENCE, Issuer
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.roles import Role
from chfw_common.runtime.http.app import Door, create_app
from chfw_common.runtime.http.callers import TokenVerifier
from chfw_common.runtime.http.keys import KeyFile
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.service import Service
from chfw_common.runtime.settings import LOCAL_ISSUER
from chfw_common.topology import RELEASE_NOTIFIED
from tests.service.documents.uses import HUB, USES, Use
from tests.service.notifier.estates import Estate, fill
from tests.support.databases import Databases
from tests.support.release import RELEASE
from tests.support.serving import Stand, standing
from tests.support.settings import nowhere

CHECKS: list[CheckFunction] = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
PARTY = PartyId("elec")


@dataclass(frozen=True)
class Published:
    """A service, and the document of its routes."""

    name: str
    stand: Stand
    issuer: Issuer
    known: dict[str, str]

    def token(self, role: Role, life: timedelta = timedelta(hours=1)) -> str:
        """A token of the Party that has hubs, in a role."""
        return self.issuer.token(PARTY, UserId(f"elec-{role.value.lower()}"), role, life)

    async def use(self, route: str, use: Use, headers: Mapping[str, str]) -> tuple[Case[Any], httpx2.Response]:
        """Call a route as its plain use does, but for the headers given."""
        operation = operations(self.name)[route]
        path = {name: value for name, value in self.known.items() if f"{{{name}}}" in route}
        body = {} if use.body is None else {"body": use.body, "media_type": "application/json"}
        case = operation.Case(path_parameters=path, query=dict(use.query), **body)
        return case, await self.send(case, {"Idempotency-Key": f'"{route}"', **headers})

    async def call(self, route: str, content: bytes, headers: Mapping[str, str | bytes]) -> httpx2.Response:
        """Call a route of a plain use with other bytes in the body."""
        method, _, path = route.partition(" ")
        token = self.token(USES[self.name][route].role)
        named = {"Authorization": f"Bearer {token}", "Idempotency-Key": '"k"', "Content-Type": "application/json"}
        sent = [(name.encode(), _latin(value)) for name, value in {**named, **headers}.items()]
        url = path.format_map(self.known)
        answer = await self.stand.client.request(method, url, content=content, headers=sent)
        operations(self.name)[route].Case(path_parameters=dict(self.known)).validate_response(answer, checks=CHECKS)
        return answer

    async def send(self, case: Case[Any], headers: Mapping[str, str]) -> httpx2.Response:
        """Send what was generated, byte by byte as it would go over the wire."""
        base = str(self.stand.client.base_url).rstrip("/")
        arguments = case.as_transport_kwargs(base_url=base, headers={"Accept-Encoding": "", **headers})
        wire = requests.Request(**arguments).prepare()
        named = [(name.encode("latin-1"), _latin(value)) for name, value in wire.headers.items()]
        content = wire.body.encode() if isinstance(wire.body, str) else wire.body
        assert content is None or isinstance(content, bytes)
        return await self.stand.client.request(str(wire.method), str(wire.url), headers=named, content=content)


def _latin(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")


def composed(name: str, dsn: str = "-") -> Service:
    """The service as data."""
    kind, build = COMPOSITIONS[name]
    return build(kind(**nowhere(dsn)))


@functools.cache
def document(name: str) -> dict[str, Any]:
    """The OpenAPI document of a service; nothing is asked of what is behind the routes."""
    nobody: Any = None
    service = composed(name)
    door = Door.OPERATORS if service.operator_routes else Door.PUBLIC
    app = create_app(service, nobody, nobody, Metrics(name, ()), nobody, door=door)
    found: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    return found


@functools.cache
def operations(name: str) -> dict[str, Any]:
    """What the document says may be called, by method and path."""
    schema = schemathesis.openapi.from_dict(document(name))
    # The tokens are ours: what is generated is everything else.
    schema.config.generation.update(with_security_parameters=False)
    found = [one.ok() for one in schema.get_all_operations() if isinstance(one, Ok)]
    return {operation.label: operation for operation in found}


@functools.cache
def cases(name: str, route: str, mode: GenerationMode) -> st.SearchStrategy[Case[Any]]:
    """Requests to a route that its document allows, or that it does not."""
    strategy: st.SearchStrategy[Case[Any]] = operations(name)[route].as_strategy(generation_mode=mode)
    return strategy


def mode_of(case: Case[Any], location: ParameterLocation) -> GenerationMode | None:
    """Whether a part of a request is as the document wants it; None when there is no such part."""
    part = case.meta.components.get(location) if case.meta else None
    return part.mode if part else None


@contextlib.asynccontextmanager
async def publishing(databases: Databases, keys: Path, name: str) -> AsyncIterator[Published]:
    """A service that knows a release and two hubs, and that has been asked everything once."""
    issuer = Issuer.open(keys)
    verifier = TokenVerifier(KeyFile(keys / "jwks.json"), issuer=LOCAL_ISSUER, audience=AUDIENCE)
    build = functools.partial(composed, name)
    async with standing(databases, "chfw", databases.install, build, verifier) as stand:
        if name != "smi":
            await fill(stand, Estate(1), Estate(2, state=None))
        if name in {"instruction", "governance"}:
            assert RELEASE_NOTIFIED in stand.service.consumes
            await stand.announce()
        published = Published(name, stand, issuer, {"release_id": RELEASE, "eui64": HUB})
        for route, use in USES[name].items():
            if route.startswith("POST"):
                _, answer = await published.use(route, use, {"Authorization": f"Bearer {published.token(use.role)}"})
                assert answer.is_success, answer.text
                if name == "instruction":
                    published.known["request_id"] = answer.json()["request_id"]
                    await stand.work()
        yield published
