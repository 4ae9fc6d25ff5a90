"""What every service is told: no password in it, and nothing open in production."""

from typing import Any

import pytest
from pydantic import ValidationError

from chfw_common.runtime.settings import ServiceSettings
from tests.support.settings import nowhere

TLS = "postgresql://chfw_smi@host/chfw?sslmode=verify-full"
PRODUCTION = {"env": "production", "token_issuer": "https://issuer.example", "kafka_security": "SASL_SSL"}


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
        settings(TLS, **{**PRODUCTION, "kafka_security": "SASL_PLAINTEXT"})
    for mode in ("", "?sslmode=disable", "?sslmode=require", "?sslmode=verify-ca"):
        with pytest.raises(ValidationError, match="sslmode=verify-full"):
            settings(f"postgresql://chfw_smi@host/chfw{mode}", **PRODUCTION)
    assert settings(TLS, **PRODUCTION).kafka().security == "SASL_SSL"


def test_production_takes_what_is_stated() -> None:
    stated = settings(**{**PRODUCTION, "kafka_security": "SASL_PLAINTEXT"}, plaintext_links=True)
    assert stated.kafka().security == "SASL_PLAINTEXT"


def test_nobody_signs_in_to_kafka_without_scram() -> None:
    with pytest.raises(ValidationError, match="kafka_security"):
        settings(kafka_security="PLAINTEXT")
