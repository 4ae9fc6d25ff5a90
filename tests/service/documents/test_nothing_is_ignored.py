"""Whatever a request says that its document does not have is refused, by its name, on every route."""

import json
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service.documents.stand import CHECKS, Published, document, operations
from tests.service.documents.uses import JSON_ROUTES, ROUTES, USES
from tests.support.fuzzing import inputs

each_route = pytest.mark.parametrize(("service", "route"), ROUTES)
each_json_route = pytest.mark.parametrize(("service", "route"), JSON_ROUTES)


def documented(service: str, route: str) -> dict[str, str]:
    """The parameters that the document of a route has, and a value that each takes."""
    method, _, path = route.partition(" ")
    found = document(service)["paths"][path][method.lower()].get("parameters", ())
    plain = {"limit": "1", "after": "x", "kind": "instruct", "group": "pilot", "activate_at": "2027-01-01T00:00:00Z"}
    return {one["name"]: plain[one["name"]] for one in found if one["in"] == "query"}


async def ask(published: Published, route: str, query: list[tuple[str, str]]) -> Any:
    """Call a route as its plain use does, with another query."""
    use = USES[published.name][route]
    method, _, path = route.partition(" ")
    headers = {"Authorization": f"Bearer {published.token(use.role)}", "Idempotency-Key": '"another"'}
    url = path.format_map(published.known)
    params = httpx2.QueryParams([*query])
    answer = await published.stand.client.request(method, url, params=params, json=use.body, headers=headers)
    operations(published.name)[route].Case(path_parameters=dict(published.known)).validate_response(
        answer, checks=CHECKS[:-1]
    )
    return answer


async def refused(published: Published, route: str, query: list[tuple[str, str]], name: str, said: str) -> None:
    """The query is refused, the parameter is named, and the message says this."""
    answer = await ask(published, route, query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), (query, answer.text)
    messages = {error["pointer"]: error["message"] for error in answer.json()["errors"]}
    assert said in messages[f"/query/{name}"], messages


@each_route
@inputs(15, 200)
@given(name=st.text(st.characters(codec="utf-8"), max_size=80), value=st.text(st.characters(codec="utf-8"), max_size=9))
async def test_a_parameter_that_the_document_does_not_have_is_refused(
    published: Published, service: str, route: str, name: str, value: str
) -> None:
    if name not in documented(service, route):
        await refused(published, route, [(name, value)], name[:64], "is not known here")


@each_route
async def test_a_parameter_is_spelt_as_the_document_spells_it_and_stated_once(
    published: Published, service: str, route: str
) -> None:
    for odd in ("dry_run", "cursor", "activateAt", "grp", "ACTIVATE_AT", "%00"):
        await refused(published, route, [(odd, "true")], odd, "is not known here")
    for name, value in documented(service, route).items():
        for spelt in (name.upper(), name.title(), f" {name}", f"{name} ", f"{name}[]", name + "\u200b"):
            await refused(published, route, [(spelt, value)], spelt, f"did you mean `{name}`?")
        await refused(published, route, [(name, value), (name, value)], name, "may stand once")
        for blank in ("", " ", "\u00a0"):
            await refused(published, route, [(name, blank)], name, "is empty")


@pytest.mark.parametrize(("service", "route"), [("smi", "GET /v1/hubs/{eui64}")])
async def test_a_query_of_very_many_parameters_is_refused_in_few_words(published: Published, route: str) -> None:
    answer = await ask(published, route, [(f"{n}x" + "y" * 300, "1") for n in range(150)])
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 20)


@pytest.mark.parametrize(("service", "route"), [(s, r) for s, r in ROUTES if "limit" in documented(s, r)])
async def test_a_limit_is_written_in_digits(published: Published, route: str) -> None:
    for odd in ("1_0", "1.0", "+1", " 1", "1e1", "\u0661", "0x1", "-1", "0", "9" * 5_000):
        answer = await ask(published, route, [("limit", odd)])
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), odd


@each_json_route
async def test_a_name_that_stands_twice_is_refused(published: Published, service: str, route: str) -> None:
    plain = json.dumps(USES[service][route].body)
    name = next(iter(USES[service][route].body))
    for body in (f'{{"{name}": null, {plain[1:]}', f'{plain[:-1]}, "\\u00{ord(name[0]):02x}{name[1:]}": null}}'):
        answer = await published.call(route, body.encode(), {})
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body"), body
        assert f"`{name}` twice" in answer.json()["detail"]


@each_json_route
async def test_a_name_that_nobody_knows_is_refused(published: Published, service: str, route: str) -> None:
    body = USES[service][route].body
    first = next(iter(body))
    for odd in ("dry_run", first.upper(), f"{first} ", ""):
        answer = await published.call(route, json.dumps({**body, odd: 1}).encode(), {})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), odd
        assert answer.json()["errors"][0]["pointer"] == f"/body/{odd}"


@each_json_route
async def test_a_media_type_has_no_parameter_that_nobody_reads(published: Published, service: str, route: str) -> None:
    body = json.dumps(USES[service][route].body).encode()
    for odd in ("; header=absent", "; charset=utf-8; charset=utf-8", "; version=2", "; Charset=latin-1"):
        answer = await published.call(route, body, {"Content-Type": f"application/json{odd}"})
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type"), odd
