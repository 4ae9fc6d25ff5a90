"""Blanks count for nothing: every text of every request is stripped, says something, and can be printed."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from chfw_common.topology import SERVICES
from tests.service.documents.stand import Published, document
from tests.service.documents.uses import JSON_ROUTES, USES
from tests.support.release import DAY, NOW, RELEASE, D

MARKS = (0x0D, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x061C, 0x85, 0x2028, 0x2029)
"""Ends of lines, and marks that turn the direction of what is read."""
BLANKS = [
    "   ",
    "",
    "\u00a0",
    "\u200b",
    "\n",
    "\u3164",
    "\ufeff",
    "a\u200bb",
    "a\nb",
    "a\0b",
    *(f"a{chr(mark)}b" for mark in MARKS),
]
_WAVE = {
    "name": "first",
    "regions": ["North"],
    "opens": (NOW + 60 * DAY).isoformat(),
    "automatic_date": (D - 30 * DAY).isoformat(),
}
MORE: dict[str, dict[str, Any]] = {
    "POST /v1/releases": {"waves": [_WAVE]},
    "POST /v1/releases/{release_id}/pilot:preview": {"regions": ["North"], "models": ["CH9"]},
    "POST /v1/releases/{release_id}/decisions": {"waves": [_WAVE]},
}
"""What the plain use of a route leaves out."""


def texts(part: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where a document has texts."""
    if isinstance(part, str):
        yield place
    elif isinstance(part, dict | list):
        for name, inner in part.items() if isinstance(part, dict) else enumerate(part):
            yield from texts(inner, (*place, name))


@pytest.mark.parametrize(("service", "route"), JSON_ROUTES)
async def test_a_blank_is_refused_wherever_a_text_stands(published: Published, service: str, route: str) -> None:
    plain = {**USES[service][route].body, **MORE.get(route, {})}
    for place in texts(plain):
        for blank in BLANKS:
            body = copy.deepcopy(plain)
            part: Any = body
            for name in place[:-1]:
                part = part[name]
            part[place[-1]] = blank
            answer = await published.call(route, json.dumps(body).encode(), {})
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), (place, blank)
            pointers = {error["pointer"] for error in answer.json()["errors"]}
            assert f"/body/{'/'.join(map(str, place))}" in pointers, (place, blank)


def free_texts(schema: Any, whole: Any, place: str = "") -> Iterator[str]:
    """Where the schema of a body has a text that may be anything."""
    if "$ref" in schema:
        yield from free_texts(whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]], whole, place)
    if schema.get("type") == "string" and not {"enum", "const", "format", "pattern"} & set(schema):
        yield place
    for name, inner in schema.get("properties", {}).items():
        yield from free_texts(inner, whole, f"{place}/{name}")
    for inner in (*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())):
        yield from free_texts(inner, whole, place)


@pytest.mark.parametrize("service", SERVICES)
def test_no_text_of_a_request_may_be_anything(service: str) -> None:
    whole = document(service)
    found = {
        f"{path}{place}"
        for path, methods in whole["paths"].items()
        for one in methods.values()
        for place in free_texts(
            one.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {}), whole
        )
    }
    # The entries of a request are judged one by one: what is no hub gets a verdict.
    assert found == ({"/v1/releases/{release_id}/instructions/hubs"} if service == "instruction" else set())


@pytest.mark.parametrize("service", ["governance"])
async def test_nothing_stops_for_good_on_the_word_of_a_blank(published: Published) -> None:
    route = "POST /v1/releases/{release_id}/decisions"
    for blank in BLANKS:
        for mode in ("stop", "run"):
            body = {"mode": mode, "reason": "so it is", "confirmed_by": blank}
            answer = await published.call(route, json.dumps(body).encode(), {"Idempotency-Key": f'"{mode}-1"'})
            assert answer.json()["code"] == "invalid_request", blank
    rows = await published.stand.fetch("select confirmed_by from decision where release_id = $1", RELEASE)
    assert rows == [("the Panel",)]
