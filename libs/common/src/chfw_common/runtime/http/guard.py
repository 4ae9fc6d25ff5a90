"""Who calls is settled before a byte of the body is read: for every route, by one piece of ASGI that none can forget.

A route says whom it admits by a dependency (`callers.Admitted`). The guard looks that up when the application is built,
and refuses to build one with a route that does not say it. The verified caller is put on the request once; dependencies
take it from there.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from fastapi.dependencies.models import Dependant
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from chfw_common.kernel.roles import Role
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.http.budget import BODY, Bodies
from chfw_common.runtime.http.callers import CALLER, Admitted, TokenVerifier, bearer_token, wrong_role
from chfw_common.runtime.http.lines import HOLDS
from chfw_common.runtime.http.problems import Problem, away, render
from chfw_common.runtime.http.quotas import Admission


class UnguardedRouteError(Exception):
    """A route that does not say whom it admits."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A route, and the roles it admits."""

    route: APIRoute
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Admits:
    """What a guard admits by. `admission` None: no Party has a quota."""

    routes: Sequence[Guarded]
    verifier: TokenVerifier
    admission: Admission | None
    bodies: Bodies


class Guard:
    """Admits a request to its route, or answers it without having read anything but its head.

    What the request holds, its Party's place and its body first of all, is given back however it ends. `over_quota`
    hears the code of each answer 429.
    """

    def __init__(self, app: ASGIApp, admits: Admits, over_quota: Callable[[str], None]) -> None:
        self._app = app
        self._admits = admits
        self._over_quota = over_quota

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        asked = (
            next((one for one in self._admits.routes if _leads(one, scope)), None) if scope["type"] == "http" else None
        )
        if asked is None:
            # Nothing of ours, which is told as such, or open to everybody: such a route takes no body.
            await self._app(scope, receive, send)
            return
        with contextlib.ExitStack() as held:
            try:
                await self._admit(asked, scope, held)
            except (Problem, TransientError) as refusal:
                scope["route"] = asked.route
                await self._told(refusal, scope["method"])(scope, receive, send)
                return
            await self._app(scope, receive, send)

    def _told(self, refusal: Problem | TransientError, method: str) -> JSONResponse:
        if isinstance(refusal, TransientError):
            return render(away(method))
        if refusal.status == HTTPStatus.TOO_MANY_REQUESTS:
            self._over_quota(refusal.code)
        return render(refusal)

    async def _admit(self, asked: Guarded, scope: Scope, held: contextlib.ExitStack) -> None:
        """Put the caller on the request, within the quota of its Party. Raises Problem 401, 403, 429 or 503."""
        admits, state = self._admits, scope.setdefault("state", {})
        found = await admits.verifier.verify(bearer_token(HTTPConnection(scope)))
        if found.role not in asked.roles:
            raise wrong_role()
        if admits.admission is not None and found.role is not Role.DCC:
            await admits.admission.enter(held, found.party)
        state[CALLER], state[BODY], state[HOLDS] = found, held.enter_context(admits.bodies.of(found.party)), held


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
