"""Who calls is settled before a byte of the body is read: for every route, by one piece of ASGI that none can forget.

A route says whom it admits by a dependency (`callers.Admitted`). The guard looks that up when the application is built,
and refuses to build one with a route that does not say it. The verified caller is put on the request once; dependencies
take it from there.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from chfw_common.kernel.roles import Role
from chfw_common.runtime.http.budget import BODY, Bodies
from chfw_common.runtime.http.callers import CALLER, Admitted, TokenVerifier, bearer_token, wrong_role
from chfw_common.runtime.http.problems import Problem, render


class UnguardedRouteError(Exception):
    """A route that does not say whom it admits."""


@dataclass(frozen=True, slots=True)
class _Door:
    route: APIRoute
    roles: frozenset[Role]


class Guard:
    """Admits a request to its route, or answers it without having read anything but its head.

    What a body of the request holds against `bodies` is given back however the request ends.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[APIRoute], verifier: TokenVerifier, bodies: Bodies) -> None:
        self._app = app
        self._doors: Sequence[_Door] = [_Door(route, admitted_to(route)) for route in routes]
        self._verifier = verifier
        self._bodies = bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        door = next((door for door in self._doors if _leads(door, scope)), None) if scope["type"] == "http" else None
        if door is None:
            # Nothing of ours, which is told as such, or open to everybody: such a route takes no body.
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        try:
            found = await self._verifier.verify(bearer_token(HTTPConnection(scope)))
            if found.role not in door.roles:
                raise wrong_role()
        except Problem as problem:
            scope["route"] = door.route
            await render(problem)(scope, receive, send)
            return
        with self._bodies.of(found.party) as body:
            state[CALLER], state[BODY] = found, body
            await self._app(scope, receive, send)


def guarded(routes: Iterable[BaseRoute]) -> list[APIRoute]:
    """The routes, all of a kind that can be guarded. Raises UnguardedRouteError for any other (a mount, a web socket)."""
    found = list(routes)
    for route in found:
        if not isinstance(route, APIRoute):
            raise UnguardedRouteError(f"{route!r}: not a route of FastAPI")
    return [route for route in found if isinstance(route, APIRoute)]


def admitted_to(route: APIRoute) -> frozenset[Role]:
    """The roles that a route admits. Raises UnguardedRouteError for a route that names none."""
    stated = [found.roles for found in _admitting(route.dependant)]
    if not stated:
        raise UnguardedRouteError(f"{route.path}: no dependency says whom it admits")
    return frozenset.intersection(*stated)


def _admitting(dependant: Dependant) -> Iterator[Admitted]:
    if isinstance(dependant.call, Admitted):
        yield dependant.call
    for below in dependant.dependencies:
        yield from _admitting(below)


def _leads(door: _Door, scope: Scope) -> bool:
    return door.route.matches(scope)[0] is Match.FULL
