"""Settings that would let the wrong people in are refused when a process starts: no password, nothing open."""

from typing import Any

import pytest
from pydantic import ValidationError

from chfw_common.runtime.settings import ServiceSettings
from tests.support.settings import nowhere

TLS = "postgresql://chfw_smi@host/chfw?sslmode=verify-full"
PRODUCTION = {"env": "production", "kafka_security": "SASL_SSL"}
ISSUER = {"token_issuer": "https://issuer.example"}
NO_KEYS: dict[str, Any] = {"jwks_file": None}
FILE = {"jwks_file": "jwks.json"}
URL = {"jwks_url": "https://issuer.example/jwks"}


def settings(dsn: str = "postgresql://chfw_smi@host/chfw", **given: Any) -> ServiceSettings:
    return ServiceSettings(**nowhere(dsn, **given))


@pytest.mark.parametrize(
    "dsn", ["postgresql://chfw_smi:open-sesame@host/chfw", "postgresql://chfw_smi@host/chfw?password=open-sesame"]
)
def test_an_address_with_a_password_is_refused_and_not_shown(dsn: str) -> None:
    with pytest.raises(ValidationError, match="CHFW_DATABASE_PASSWORD_FILE") as refused:
        settings(dsn)
    assert "open-sesame" not in str(refused.value)


@pytest.mark.parametrize("missing", ["database_password_file", "kafka_username", "kafka_password_file"])
def test_there_are_no_settings_without_a_password(missing: str) -> None:
    given = nowhere()
    del given[missing]
    with pytest.raises(ValidationError, match=missing):
        ServiceSettings(**given)


def test_production_refuses_links_without_tls() -> None:
    with pytest.raises(ValidationError, match="CHFW_KAFKA_SECURITY=SASL_SSL"):
        settings(TLS, env="production", **ISSUER)
    for mode in ("", "?sslmode=disable", "?sslmode=require", "?sslmode=verify-ca"):
        with pytest.raises(ValidationError, match="sslmode=verify-full"):
            settings(f"postgresql://chfw_smi@host/chfw{mode}", **PRODUCTION, **ISSUER)
    assert settings(TLS, **PRODUCTION, **ISSUER).kafka().security == "SASL_SSL"


def test_production_takes_what_is_stated() -> None:
    assert settings(env="production", plaintext_links=True, **ISSUER).kafka().security == "SASL_PLAINTEXT"


def test_nobody_signs_in_to_kafka_without_scram() -> None:
    with pytest.raises(ValidationError, match="kafka_security"):
        settings(kafka_security="PLAINTEXT")


@pytest.mark.parametrize("given", [FILE, URL, {"jwks_url": "http://127.0.0.1:8000/jwks"}])
def test_keys_come_from_a_file_or_a_url(given: dict[str, Any]) -> None:
    settings(**{**NO_KEYS, **given})


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
        settings(**{**NO_KEYS, **given})


def test_production_knows_its_issuer_by_name() -> None:
    given = {**NO_KEYS, **URL, **PRODUCTION}
    with pytest.raises(ValidationError, match="CHFW_TOKEN_ISSUER"):
        settings(TLS, **given)
    settings(TLS, **given, **ISSUER)
