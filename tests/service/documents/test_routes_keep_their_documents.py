"""Whatever is sent to a route, the answer is one that its OpenAPI document has, and never a 5xx."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation

from chfw_cli.tokens import Issuer
from chfw_common.kernel.roles import Role
from chfw_common.topology import SERVICES
from tests.service.documents.stand import CHECKS, Published, cases, mode_of, operations
from tests.service.documents.uses import ROUTES, USES
from tests.support.fuzzing import inputs

REQUESTS, LONG_REQUESTS = 40, 400
"""Requests to each route in each mode: allowed by the document, and not."""
FORMS = ["*/*", "application/json", "application/x-ndjson", "text/csv", "text/html;q=0.9"]
each_route = pytest.mark.parametrize(("service", "route"), ROUTES)
each_generator = pytest.mark.parametrize(
    ("service", "route", "mode"),
    [
        pytest.param(service, route, mode, id=f"{service}-{route}-{mode.value}")
        for service, route in ROUTES
        for mode in GenerationMode
        # What takes nothing cannot be given what is wrong.
        if mode is GenerationMode.POSITIVE or "{" in route or USES[service][route].body or USES[service][route].query
    ],
)


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_of_the_document_is_asked(service: str) -> None:
    assert set(operations(service)) == set(USES[service])


@each_route
async def test_a_plain_use_succeeds_in_every_form(published: Published, service: str, route: str) -> None:
    use = USES[service][route]
    for form in FORMS:
        headers = {"Authorization": f"Bearer {published.token(use.role)}", "Accept": form}
        case, answer = await published.use(route, use, headers)
        assert answer.is_success, answer.text
        case.validate_response(answer, checks=CHECKS)


@each_generator
@inputs(REQUESTS, LONG_REQUESTS)
@given(data=st.data())
async def test_whatever_is_sent_the_answer_is_in_the_document(
    published: Published, service: str, route: str, mode: GenerationMode, data: st.DataObject
) -> None:
    case = data.draw(cases(service, route, mode))
    # A random release is an unknown one; half of the requests are about one that is there.
    if mode_of(case, ParameterLocation.PATH) is GenerationMode.POSITIVE and data.draw(st.booleans(), label="known"):
        case.path_parameters = {name: published.known[name] for name in case.path_parameters}
    role = data.draw(st.sampled_from(sorted(USES[service][route].allowed)))
    form = data.draw(st.sampled_from(FORMS))
    headers = {"Authorization": f"Bearer {published.token(role)}", "Accept": form}
    answer = await published.send(case, headers)
    case.validate_response(answer, checks=CHECKS)


@each_route
async def test_who_may_not_call_is_told_so(published: Published, service: str, route: str, tmp_path: Path) -> None:
    use = USES[service][route]
    forged = tmp_path / "forged"
    forged.mkdir()
    stranger = Published(service, published.stand, Issuer.open(forged), published.known)
    wrong: list[tuple[int, str]] = [
        (401, ""),
        (401, "Bearer"),
        (401, "Bearer not.a.token"),
        (401, "Basic ZWxlYzplbGVj"),
        (401, f"Bearer {published.token(use.role, timedelta(hours=-1))}"),
        (401, f"Bearer {stranger.token(use.role)}"),
        *((403, f"Bearer {published.token(role)}") for role in Role if role not in use.allowed),
    ]
    for status, header in wrong:
        case, answer = await published.use(route, use, {"Authorization": header})
        assert (answer.status_code, answer.json()["status"]) == (status, status), header
        case.validate_response(answer, checks=CHECKS)
