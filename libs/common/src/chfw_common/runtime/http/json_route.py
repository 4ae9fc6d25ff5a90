"""Routes with a JSON body: read in pieces, unpacked, and refused in one way before anything is made of it.

A route states how long its body may be (`takes`). A body of more than PIECE bytes is parsed and validated in a thread:
the loop goes on meanwhile.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError

from chfw_common.kernel.texts import RepeatedNameError, distinct
from chfw_common.runtime.http.bodies import PIECE, BodyLimits, malformed, media_type, read_body, too_large, without_mark
from chfw_common.runtime.http.problems import invalid_request, malformed_parts, problems

JSON = "application/json"
RATIO = 100
"""Decoded bytes for each byte sent that a packed body may have."""
SMALL = 64 << 10
"""Bytes that are plenty for one thing and what is said of it."""
LARGE = 16 << 20
"""A load of 5,000 records with every text at its longest has 6 MB."""
MOST_VALUES = 150_000
"""Commas one document may have; a load of 5,000 records has 100,000. A short text may hide millions of values."""
MOST_FAULTS = 500
"""Faults of one document that are told each by itself: each costs 20 us, and nobody reads thousands."""
AT_ONCE = 2
"""Large bodies that are parsed at once: each thread takes its turns from the loop."""
_STATED = "x-body-limit"
REFUSALS = problems(400, 408, 413, 415, 429)
"""What a route with a JSON body may answer, whatever it does with it."""

R = TypeVar("R")


def takes(size: int) -> dict[str, Any]:
    """How many bytes the body of a route may have, decoded as well as sent: a part of its `openapi_extra`."""
    return {_STATED: size, "requestBody": {"description": f"At most {size >> 10} KiB, packed or not."}}


class UnstatedLimitError(Exception):
    """A route with a JSON body that does not state how long that may be."""


class _WholeBody(Request):
    limits: BodyLimits
    document: Any = None

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = b"".join([piece async for piece in read_body(self, self.limits)])
        return self._body

    async def json(self) -> Any:
        return self.document


class JsonRoute(APIRoute):
    """A route whose body, if it takes one, is JSON of a stated size. Raises Problem 400, 408, 413, 415, 429 or 503."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the reading of the body."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle
        stated = (self.openapi_extra or {}).get(_STATED)
        if stated is None:
            raise UnstatedLimitError(self.path)
        declared: Any = self.body_field.field_info.annotation
        limits, form = BodyLimits(stated, RATIO), TypeAdapter(declared)

        async def read(request: Request) -> Response:
            media_type(request, (JSON,))
            whole = _WholeBody(request.scope, request.receive)
            whole.limits = limits
            # Here and not while FastAPI reads: there any fault of a body would be one and the same.
            text = await whole.body()
            if text:
                # FastAPI takes what has the form of its parameter as it is.
                whole.document = await apart(request, len(text), _read_document, text, form)
            return await handle(whole)

        return read


def _read_document(text: bytes, form: TypeAdapter[Any]) -> Any:
    """What a body says. Raises Problem 400, 413 for more values than any document here needs, or 422."""
    if text.count(b",") > MOST_VALUES:
        raise too_large(f"The body has more than {MOST_VALUES} values.")
    document = parse_json(text)
    try:
        return form.validate_python(document, from_attributes=True)
    except ValidationError as error:
        if error.error_count() > MOST_FAULTS:
            said = f"{error.error_count()} faults: compare it with the document of the route"
            raise invalid_request([(("body",), said)]) from error
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise malformed_parts(found, "body") from error


async def apart(request: Request, size: int, work: Callable[..., R], *arguments: object) -> R:
    """Do work on so many bytes of a body: in a thread when they are many, a few at once."""
    if size <= PIECE:
        return work(*arguments)
    turns: asyncio.Semaphore = request.app.state.parsing
    async with turns:
        return await asyncio.to_thread(work, *arguments)


def parse_json(body: bytes) -> Any:
    """The document of a body. Raises Problem 400 for what is not JSON, and for a name that an object has twice."""
    try:
        # As text, because of bytes the parser would also take UTF-16 and UTF-32.
        return json.loads(without_mark(body).decode(), parse_constant=_refuse, object_pairs_hook=distinct)
    except RepeatedNameError as error:
        raise malformed(f"The body cannot be read: {error}.") from error
    except json.JSONDecodeError as error:
        raise malformed(f"The body is not JSON: {error.msg}.", offset=_offset(body, error)) from error
    except RecursionError as error:
        raise malformed("The body is nested too deeply.") from error
    except ValueError as error:
        # Not UTF-8, NaN or Infinity, or a number of thousands of digits.
        raise malformed("The body is not JSON that can be read here.") from error


def _offset(body: bytes, error: json.JSONDecodeError) -> int:
    """The byte at which the parser stopped."""
    return len(body) - len(without_mark(body)) + len(error.doc[: error.pos].encode())


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
