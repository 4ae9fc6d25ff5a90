"""Who calls is settled before a byte of the body is read: for every route, by one piece of ASGI that none can forget.

A route says whom it admits by a dependency (`callers.Admitted`). The guard looks that up when the application is built,
and refuses to build one with a route that does not say it. The verified caller is put on the request once; dependencies
take it from there.
"""

import contextlib
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
from chfw_common.runtime.http.lines import HOLDS
from chfw_common.runtime.http.problems import Problem, render


class UnguardedRouteError(Exception):
    """A route that does not say whom it admits."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A route, and the roles it admits."""

    route: APIRoute
    roles: frozenset[Role]


class Guard:
    """Admits a request to its route, or answers it without having read anything but its head.

    What the request holds, its body against `bodies` first of all, is given back however it ends.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[Guarded], verifier: TokenVerifier, bodies: Bodies) -> None:
        self._app = app
        self._routes = routes
        self._verifier = verifier
        self._bodies = bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        asked = next((one for one in self._routes if _leads(one, scope)), None) if scope["type"] == "http" else None
        if asked is None:
            # Nothing of ours, which is told as such, or open to everybody: such a route takes no body.
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        try:
            found = await self._verifier.verify(bearer_token(HTTPConnection(scope)))
            if found.role not in asked.roles:
                raise wrong_role()
        except Problem as problem:
            scope["route"] = asked.route
            await render(problem)(scope, receive, send)
            return
        with contextlib.ExitStack() as held:
            state[CALLER], state[BODY], state[HOLDS] = found, held.enter_context(self._bodies.of(found.party)), held
            await self._app(scope, receive, send)


def guarded(routes: Iterable[BaseRoute]) -> list[Guarded]:
    """The routes with the roles they admit.

    Raises UnguardedRouteError for a route that names none, or of a kind that names none (a mount, a web socket).
    """
    return [Guarded(*_admitted_to(route)) for route in routes]


def _admitted_to(route: BaseRoute) -> tuple[APIRoute, frozenset[Role]]:
    if not isinstance(route, APIRoute):
        raise UnguardedRouteError(f"{route!r}: not a route of FastAPI")
    stated = [found.roles for found in _admitting(route.dependant)]
    if not stated:
        raise UnguardedRouteError(f"{route.path}: no dependency says whom it admits")
    return route, frozenset.intersection(*stated)


def _admitting(dependant: Dependant) -> Iterator[Admitted]:
    if isinstance(dependant.call, Admitted):
        yield dependant.call
    for below in dependant.dependencies:
        yield from _admitting(below)


def _leads(guarded: Guarded, scope: Scope) -> bool:
    return guarded.route.matches(scope)[0] is Match.FULL
