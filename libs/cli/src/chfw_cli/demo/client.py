"""How the story speaks to the services: HTTP as each Party, again and again until a service that is away is back, and
when it is told to wait, as long as it is told to."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

import httpx2
import stamina

from chfw_cli.demo.estate import user_id
from chfw_cli.tokens import LIFE, Issuer
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.roles import Role
from chfw_common.runtime.clock import stopwatch
from chfw_common.runtime.http.idempotency import HEADER
from chfw_common.runtime.http.structured import write_string

DCC = PartyId("DCC")
TIMEOUT = 60.0
ATTEMPTS = 200
WAIT_LIMIT = 1.0
LONGEST_WAIT = 60
"""Seconds waited at most when a quota is spent: a story does not wait for the next day."""
NOT_YET = frozenset({"unknown_release"})
"""A notice reaches its neighbours a moment after it was posted: the client asks again, as any client must."""


class RefusedError(Exception):
    """A service refused what the story asks: the story or the service is wrong."""


class AwayError(Exception):
    """A service is away or not ready: the same request again, under the same key."""


class Client:
    """All services, each through one HTTP client; tokens are signed by the local issuer."""

    def __init__(self, services: Mapping[str, httpx2.AsyncClient], issuer: Issuer) -> None:
        self._services = services
        self._issuer = issuer
        self._tokens: dict[tuple[PartyId, Role], tuple[str, float]] = {}

    async def close(self) -> None:
        """Close every connection."""
        for service in self._services.values():
            await service.aclose()

    async def get(self, service: str, path: str, *, party: PartyId = DCC, role: Role = Role.DCC, **params: Any) -> Any:
        """The JSON answer of a GET."""
        wanted = {name: value for name, value in params.items() if value is not None}
        return await self._call(service, "GET", path, party, role, params=wanted)

    async def post(
        self, service: str, path: str, body: Any, *, key: str, party: PartyId = DCC, role: Role = Role.DCC
    ) -> Any:
        """The JSON answer of a POST under an Idempotency-Key."""
        return await self._call(service, "POST", path, party, role, json=body, headers={HEADER: write_string(key)})

    async def patch(self, service: str, path: str, body: Any, *, key: str) -> Any:
        """The JSON answer of a PATCH by the DCC under an Idempotency-Key."""
        return await self._call(service, "PATCH", path, DCC, Role.DCC, json=body, headers={HEADER: write_string(key)})

    async def pages(
        self, service: str, path: str, items: str, *, party: PartyId = DCC, role: Role = Role.DCC, limit: int = 1_000
    ) -> AsyncIterator[list[Any]]:
        """The pages of a list or a feed, up to its end."""
        after: str | None = None
        while True:
            page = await self.get(service, path, party=party, role=role, after=after, limit=limit)
            if page[items]:
                yield page[items]
            if page["next"] is None or page["next"] == after or not page[items]:
                return
            after = page["next"]

    async def _call(self, service: str, method: str, path: str, party: PartyId, role: Role, **arguments: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._token(party, role)}", **arguments.pop("headers", {})}
        async for attempt in stamina.retry_context(
            on=AwayError, attempts=ATTEMPTS, timeout=TIMEOUT * 2, wait_initial=0.1, wait_max=WAIT_LIMIT
        ):
            with attempt:
                return await self._once(service, method, path, headers, arguments)
        raise AssertionError("stamina either returns or raises")

    async def _once(
        self, service: str, method: str, path: str, headers: dict[str, str], arguments: dict[str, Any]
    ) -> Any:
        try:
            response = await self._services[service].request(method, path, headers=headers, **arguments)
        except httpx2.TransportError as error:
            raise AwayError(f"{service}: {error}") from error
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            await asyncio.sleep(min(int(response.headers["Retry-After"]), LONGEST_WAIT))
            raise AwayError(f"{service}: {response.text}")
        if response.status_code in {502, 503, 504}:
            raise AwayError(f"{service}: {response.text}")
        if response.is_error:
            if response.json().get("code") in NOT_YET:
                raise AwayError(f"{service}: {response.text}")
            raise RefusedError(f"{method} {path}: {response.status_code} {response.text}")
        return response.json()

    def _token(self, party: PartyId, role: Role) -> str:
        token, until = self._tokens.get((party, role), ("", 0.0))
        if stopwatch() >= until:
            user = user_id(party, role) if role is not Role.DCC else UserId("90-B3-D5-1F-30-00-00-02")
            token = self._issuer.token(party, user, role)
            # Half its life, so that a request that is repeated for minutes ends before it does.
            self._tokens[party, role] = token, stopwatch() + LIFE.total_seconds() / 2
        return token


def over_network(urls: Mapping[str, str], operator_urls: Mapping[str, str]) -> dict[str, httpx2.AsyncClient]:
    """Clients of running services, of governance at its address for operators."""
    used = {name: operator_urls[name] if name == "governance" else url for name, url in urls.items()}
    return {name: httpx2.AsyncClient(base_url=url, timeout=TIMEOUT) for name, url in used.items()}
