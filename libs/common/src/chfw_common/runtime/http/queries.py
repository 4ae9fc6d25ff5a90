"""The query of a request says what the document of its route says, and nothing else: what nobody reads is refused."""

import difflib
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Annotated, Any

from fastapi import Request
from pydantic import BeforeValidator

from chfw_common.kernel.texts import SHOWN, shown
from chfw_common.runtime.http.problems import invalid_request

TOLD = 20
"""The most faults of a query that one answer names: to look for what was meant takes time."""
_WHOLE = re.compile(r"[0-9]{1,18}")


async def known_query(request: Request) -> None:
    """Refuse a query that is not as the document says (a dependency of every route).

    Raises Problem 422 that names each parameter which is unknown, differently spelt, repeated or empty.
    """
    if request.scope["query_string"]:
        wrong = list(islice(_faults(request.query_params.multi_items(), _documented(request)), TOLD))
        if wrong:
            raise invalid_request(wrong)


def _unknown(name: str, known: Mapping[str, bool]) -> str:
    """What is said of a name that is not among those known: which are, and which was probably meant."""
    taken = "only " + ", ".join(f"`{one}`" for one in sorted(known)) if known else "none"
    folded = {one.replace("_", ""): one for one in known}
    near = difflib.get_close_matches(re.sub(r"[\W_]", "", name[:SHOWN]).casefold(), folded, n=1)
    meant = f"; did you mean `{folded[near[0]]}`?" if near else "."
    return f"`{shown(name)}` is not known here: {taken} can be stated{meant}"


def _documented(request: Request) -> Mapping[str, bool]:
    """The parameters that the document of the route names; True for one that may be repeated."""
    route = request.scope["route"]
    document: Mapping[str, Any] = request.app.openapi()["paths"].get(route.path_format, {})
    parameters = document.get(request.method.lower(), {}).get("parameters", ())
    return {one["name"]: one["schema"].get("type") == "array" for one in parameters if one["in"] == "query"}


def _faults(stated: list[tuple[str, str]], known: Mapping[str, bool]) -> Iterator[tuple[tuple[str, str], str]]:
    seen: set[str] = set()
    for name, value in stated:
        place = ("query", shown(name))
        if name not in known:
            yield place, _unknown(name, known)
        elif name in seen and not known[name]:
            yield place, f"`{name}` may stand once."
        elif not value.strip():
            yield place, f"`{name}` is empty: state a value, or leave it out."
        seen.add(name)


def _written_whole(value: object) -> object:
    if isinstance(value, str) and _WHOLE.fullmatch(value) is None:
        raise ValueError("a whole number in digits is needed, as in 100")
    return value


WholeNumber = Annotated[int, BeforeValidator(_written_whole)]
"""A number in a query: digits alone. Other spellings that Python reads (`1_0`, `1.0`) are refused."""
