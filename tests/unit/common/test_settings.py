"""Settings that would let the wrong people in are refused when a process starts."""

from typing import Any

import pytest
from pydantic import ValidationError

from chfw_common.runtime.settings import ServiceSettings
from tests.support.settings import nowhere

GIVEN = {name: value for name, value in nowhere(plaintext_links=True).items() if name != "jwks_file"}
FILE = {"jwks_file": "jwks.json"}
URL = {"jwks_url": "https://issuer.example/jwks"}


@pytest.mark.parametrize("given", [FILE, URL, {"jwks_url": "http://127.0.0.1:8000/jwks"}])
def test_keys_come_from_a_file_or_a_url(given: dict[str, Any]) -> None:
    ServiceSettings.model_validate({**GIVEN, **given})


@pytest.mark.parametrize(
    "given",
    [
        {},
        {**FILE, **URL},
        {"jwks_url": "http://issuer.example/jwks"},
        {"jwks_url": "file:///keys"},
        {"jwks_url": "issuer.example/jwks"},
        {**FILE, "token_issuer": ""},
    ],
)
def test_keys_from_nowhere_or_over_an_open_network_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ServiceSettings.model_validate({**GIVEN, **given})


def test_production_knows_its_issuer_by_name() -> None:
    given = {**GIVEN, **URL, "env": "production"}
    with pytest.raises(ValidationError, match="CHFW_TOKEN_ISSUER"):
        ServiceSettings.model_validate(given)
    ServiceSettings.model_validate({**given, "token_issuer": "https://issuer.example"})
