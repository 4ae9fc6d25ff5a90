"""Errors as RFC 9457 problem documents. Every error a client can get has a code, a status and a sentence."""

from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.transient import is_transient

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"

SCHEMA_NAME = "Problem"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A refusal (RFC 9457). `code` is stable; `errors` say what is wrong in the request, and where.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:chfw:problem:[a-z_]+$"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string", "pattern": "^[a-z_]+$"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["message"],
                "properties": {
                    "message": {"type": "string"},
                    "pointer": {"type": "string", "description": "The part of the request, as /body/..., /query/..."},
                    "row": {"type": "integer", "description": "The row of a list"},
                    "offset": {"type": "integer", "description": "The byte of the body, decoded"},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
"""The form of every refusal in the documents of the routes."""
_HEADERS = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
UNKNOWN_OUTCOME = (
    "It is not known whether the request took effect. Repeat it as it is, with the same Idempotency-Key: "
    "then it takes effect once."
)
_DESCRIBED = {
    429: "The Party, or the service, has enough under way. Repeat the request after `Retry-After` seconds.",
    503: f"A server is away or busy, or there are no keys to verify tokens with. {UNKNOWN_OUTCOME} "
    "A request that only reads can be repeated at any time.",
}


class Problem(Exception):  # noqa: N818 - the name RFC 9457 gives it
    """A refusal that the client can act on. `code` is stable; `errors` point at what is wrong in the request."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[dict[str, Any]] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = headers or {}


def invalid_request(wrong: Iterable[tuple[Sequence[str | int], str]]) -> Problem:
    """The refusal of a request that is not as its document says: each place in it, and what is wrong there."""
    errors = [{"pointer": "/" + "/".join(map(str, place)), "message": message} for place, message in wrong]
    return Problem(422, "invalid_request", "The request does not have the expected form.", errors=errors)


def away(method: str) -> Problem:
    """The answer while a server is away or busy. Whether a COMMIT that was cut off took effect is not known here."""
    unknown = "" if method in _READS else f" {UNKNOWN_OUTCOME}"
    return Problem(503, "try_again", f"A server is away or busy.{unknown}", headers={"Retry-After": "2"})


def malformed_parts(errors: Iterable[Any], *before: str) -> Problem:
    """The refusal that pydantic's errors make, each at its place in the request, behind `before`.

    A list whose entries are at fault is not at fault for having too few that are not.
    """
    found = [(tuple(error["loc"]), error) for error in errors]
    return invalid_request(
        ((*before, *place), error["msg"].removeprefix("Value error, "))
        for place, error in found
        if error["type"] != "too_short" or not any(place == other[: len(place)] for other, _ in found if other != place)
    )


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the document of a route says of its refusals, by status."""
    return {status: _documented(status) for status in statuses}


def _documented(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": _DESCRIBED.get(status, HTTPStatus(status).phrase),
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{SCHEMA_NAME}"}}},
    }
    if status in _HEADERS:
        described["headers"] = {_HEADERS[status]: {"required": True, "schema": {"type": "string"}}}
    return described


def render(problem: Problem) -> JSONResponse:
    """The document of a problem."""
    body: dict[str, Any] = {
        "type": f"urn:chfw:problem:{problem.code}",
        "title": problem.code.replace("_", " "),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = problem.errors
    return JSONResponse(body, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def install_problems(
    app: FastAPI, methods_at: Callable[[Request], Sequence[str]], over_quota: Callable[[str], None]
) -> None:
    """Make every error of the application a problem document; what nobody foresaw is logged and says nothing.

    `methods_at` says which methods the place of a request has; `over_quota` is told the code of each answer 429.
    """

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        if error.status == HTTPStatus.TOO_MANY_REQUESTS:
            over_quota(error.code)
        return render(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return render(malformed_parts(error.errors()))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}.get(error.status_code, "refused")
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            # The router names those of the first route alone.
            headers["Allow"] = ", ".join(methods_at(request))
        return render(Problem(error.status_code, code, str(error.detail), headers=headers))

    @app.exception_handler(TransientError)
    async def transient(request: Request, error: TransientError) -> JSONResponse:
        log.warning("a request has to be repeated", action="request_unknown", path=request.url.path, error=str(error))
        return render(away(request.method))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        if is_transient(error):
            return render(away(request.method))
        log.error("a request failed", action="request_failed", path=request.url.path, exc_info=error)
        return render(Problem(500, "internal", "The request failed here; it was logged."))
