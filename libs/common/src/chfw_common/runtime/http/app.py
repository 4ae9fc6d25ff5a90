"""The application of a service: its routes, and beside them health, readiness and metrics."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from chfw_common.runtime.clock import stopwatch
from chfw_common.runtime.http.callers import TokenVerifier
from chfw_common.runtime.http.commands import Commands
from chfw_common.runtime.http.head import HeadIsGet, methods_at
from chfw_common.runtime.http.problems import SCHEMA, SCHEMA_NAME, Problem, install_problems, problems
from chfw_common.runtime.http.queries import known_query
from chfw_common.runtime.http.quotas import Admission, Leaving
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.service import Service
from chfw_common.runtime.settings import BODY_TIME

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


def create_app(
    service: Service,
    commands: Commands,
    verifier: TokenVerifier,
    metrics: Metrics,
    ready: Ready,
    *,
    admission: Admission | None,
    body_time: timedelta = BODY_TIME,
) -> FastAPI:
    """Build the application. `ready` says why the service cannot work now, or None.

    `admission` None: no Party has a quota (a simulation, the documents of the routes).
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
    app.state.verifier = verifier
    app.state.admission = admission
    app.state.body_time = body_time
    own = [route for router in service.routes for route in router.routes]
    install_problems(app, lambda request: methods_at(request.scope, [*app.routes, *own]), metrics.refused)

    @app.middleware("http")
    async def measured(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        begun = stopwatch()
        response = await call_next(request)
        route = request.scope.get("route")
        template = getattr(route, "path", "unmatched")
        metrics.requested(request.method, template, response.status_code, stopwatch() - begun)
        return response

    app.add_middleware(HeadIsGet)
    app.add_middleware(Leaving)

    @app.get("/healthz", include_in_schema=False)
    async def health() -> dict[str, str]:
        return {"service": service.name, "loop": "turns"}

    @app.get("/readyz", include_in_schema=False)
    async def readiness() -> dict[str, str]:
        reason = await ready()
        if reason is not None:
            raise Problem(503, "not_ready", reason)
        return {"service": service.name}

    @app.get("/metrics", include_in_schema=False)
    async def exposition() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    for router in service.routes:
        app.include_router(router)
    return app
