"""Routes with a JSON body: read in pieces, unpacked, and refused in one way before anything is made of it."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from chfw_common.kernel.texts import RepeatedNameError, distinct
from chfw_common.runtime.http.bodies import BodyLimits, malformed, media_type, read_body, without_mark
from chfw_common.runtime.http.problems import problems

JSON = "application/json"
LIMITS = BodyLimits(size=16 << 20, ratio=100)
"""A load of 5,000 records with every text at its longest has 6 MB."""
REFUSALS = problems(400, 408, 413, 415)
"""What a route with a JSON body may answer, whatever it does with it."""


class _WholeBody(Request):
    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = b"".join([piece async for piece in read_body(self, LIMITS)])
        return self._body

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = parse_json(await self.body())
        return self._json


class JsonRoute(APIRoute):
    """A route whose body, if it takes one, is JSON of a bounded size. Raises Problem 400, 408, 413 or 415."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the reading of the body."""
        handle = super().get_route_handler()

        async def read(request: Request) -> Response:
            if self.body_field is None:
                return await handle(request)
            media_type(request, (JSON,))
            whole = _WholeBody(request.scope, request.receive)
            # Here and not while FastAPI reads: there any fault of a body would be one and the same.
            if await whole.body():
                await whole.json()
            return await handle(whole)

        return read


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
