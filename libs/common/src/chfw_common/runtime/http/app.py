"""The application of a service: its routes, beside them health and, for operators, readiness and metrics."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import Enum
from typing import Any

from fastapi import Depends, FastAPI, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from chfw_common.runtime.http.budget import Bodies, BodyBounds
from chfw_common.runtime.http.callers import TokenVerifier
from chfw_common.runtime.http.commands import Commands
from chfw_common.runtime.http.guard import Admits, Guard, guarded
from chfw_common.runtime.http.head import HeadIsGet, methods_at
from chfw_common.runtime.http.json_route import AT_ONCE
from chfw_common.runtime.http.measured import Measured
from chfw_common.runtime.http.problems import SCHEMA, SCHEMA_NAME, Problem, install_problems, problems
from chfw_common.runtime.http.queries import known_query
from chfw_common.runtime.http.quotas import Admission
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.service import Service
from chfw_common.runtime.settings import BODY_TIME

BODY_BOUNDS = BodyBounds()
Ready = Callable[[], Awaitable[str | None]]

_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "Signed with ES256; claims iss, aud, iat, exp (an hour at most), party, user_id, role",
}
_ANYWHERE = problems(401, 403, 422, 429, 503)
"""What any route may answer: not known, not allowed, not of the form, over a quota, a server away."""


class _Application(FastAPI):
    """Its document also says what every route has in common: the token, and the form of a refusal."""

    def openapi(self) -> dict[str, Any]:
        made = self.openapi_schema is None
        document = super().openapi()
        if made:
            parts = document.setdefault("components", {})
            parts.setdefault("schemas", {})[SCHEMA_NAME] = SCHEMA
            parts["securitySchemes"] = {"token": _TOKEN}
            document["security"] = [{"token": []}]
        return document


class Door(Enum):
    """Where requests come in: each service has two listeners (ADR 0069)."""

    PUBLIC = "public"
    OPERATORS = "operators"


def create_app(
    service: Service,
    commands: Commands,
    verifier: TokenVerifier,
    metrics: Metrics,
    ready: Ready,
    *,
    door: Door = Door.PUBLIC,
    bounds: BodyBounds = BODY_BOUNDS,
    admission: Admission | None,
    body_time: timedelta = BODY_TIME,
) -> FastAPI:
    """Build the application of one door. `ready` says why the service cannot work now, or None.

    `admission` None: no Party has a quota (a simulation, the documents of the routes). Raises UnguardedRouteError for a
    route that does not say whom it admits.
    """
    app = _Application(
        title=f"chfw {service.name}",
        version="1",
        docs_url=None,
        redoc_url=None,
        responses=_ANYWHERE,
        # Here and nowhere else, so that no route can forget it.
        dependencies=[Depends(known_query)],
    )
    app.state.commands = commands
    app.state.body_time = body_time
    app.state.parsing = asyncio.Semaphore(AT_ONCE)
    routers = service.routes if door is Door.PUBLIC else service.operator_routes
    routes = [route for router in routers for route in router.routes]
    install_problems(app, lambda request: methods_at(request.scope, [*app.routes, *routes]), metrics.refused)
    # The last one added is the first to see a request.
    admits = Admits(guarded(routes), verifier, admission, Bodies(bounds))
    app.add_middleware(Guard, admits=admits, over_quota=metrics.refused)
    app.add_middleware(Measured, metrics=metrics)
    app.add_middleware(HeadIsGet)

    @app.get("/healthz", include_in_schema=False)
    async def health() -> dict[str, str]:
        return {"service": service.name, "loop": "turns"}

    if door is Door.OPERATORS:
        _serve_operators(app, service.name, metrics, ready)
    for router in routers:
        app.include_router(router)
    return app


def _serve_operators(app: FastAPI, name: str, metrics: Metrics, ready: Ready) -> None:
    """What needs no token and is not for strangers: totals, and a look at the database."""

    @app.get("/readyz", include_in_schema=False)
    async def readiness() -> dict[str, str]:
        reason = await ready()
        if reason is not None:
            raise Problem(503, "not_ready", reason)
        return {"service": name}

    @app.get("/metrics", include_in_schema=False)
    async def exposition() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)
