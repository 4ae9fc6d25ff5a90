"""What every service is told by its environment. One frozen class per service extends it; nothing else reads it."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from chfw_common.runtime.kafka.access import KafkaAccess, Security

TOKEN_LEEWAY = timedelta(seconds=30)
BODY_TIME = timedelta(minutes=2)
_CHECKED_TLS = "verify-full"
"""The `sslmode` under which the server's certificate and its name are checked."""


class ServiceSettings(BaseSettings):
    """Settings shared by all services; names in the environment begin with CHFW_."""

    model_config = SettingsConfigDict(env_prefix="CHFW_", frozen=True, extra="forbid", hide_input_in_errors=True)

    env: Literal["local", "production"] = Field(
        default="local", description="`production` refuses what is for trying things out, such as servers without TLS"
    )
    database_dsn: str = Field(
        description="Postgres as this service's own role, without the password, e.g. postgresql://chfw_smi@host/chfw"
    )
    database_password_file: Path = Field(
        description="The file with the role's password, one line, closed to other users; read for each new connection"
    )
    kafka_bootstrap: str = Field(description="host:port of a broker")
    kafka_username: str = Field(description="This service's user at Kafka (SASL/SCRAM-SHA-512), e.g. chfw-smi")
    kafka_password_file: Path = Field(
        description="The file with that user's password, one line, closed to other users; read for each new client"
    )
    kafka_security: Security = Field(
        default="SASL_PLAINTEXT", description="`SASL_SSL`: over TLS, with the broker's certificate checked"
    )
    kafka_ca_file: Path | None = Field(
        default=None, description="Certificates that the broker's may be signed with; without it, those of the machine"
    )
    plaintext_links: bool = Field(
        default=False,
        description="States that something else encrypts the links to Kafka and Postgres: `production` then takes them"
        " without TLS",
    )
    jwks_file: Path = Field(description="Public keys that tokens are verified with (JWKS)")
    token_audience: str = Field(default="chfw", description="The `aud` a token must carry")
    token_leeway: timedelta = Field(
        default=TOKEN_LEEWAY,
        ge=timedelta(0),
        le=timedelta(minutes=5),
        description="How far the clock of the issuer may be from this machine's: for `iat`, `nbf` and `exp` of a token",
    )
    http_host: str = Field(default="127.0.0.1", description="Address the HTTP server listens on")
    http_port: int = Field(default=8080, description="Port the HTTP server listens on", ge=0, le=65535)
    body_time: timedelta = Field(
        default=BODY_TIME,
        ge=timedelta(seconds=1),
        le=timedelta(hours=1),
        description="How long in all a client may keep the service waiting for the body of one request; then 408",
    )
    clock: Literal["real", "paced"] = Field(
        default="real", description="`paced` follows the row chfw_clock.pace: for demo and load only"
    )
    instance: str = Field(
        default="0",
        description="Names this process among replicas; a Kafka instance id must never be used twice at once",
    )
    database_connections: int = Field(default=10, ge=2, description="Connections of the pool for bulk work")
    log_format: Literal["json", "console"] = Field(default="json", description="`console` for people")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe lines that are written"
    )

    @field_validator("database_dsn")
    @classmethod
    def _no_password(cls, dsn: str) -> str:
        """Addresses are logged and shown; passwords have a file."""
        if urlsplit(dsn).password is not None or "password" in parse_qs(urlsplit(dsn).query):
            raise ValueError("no password here: name its file in CHFW_DATABASE_PASSWORD_FILE")
        return dsn

    @model_validator(mode="after")
    def _closed_in_production(self) -> Self:
        """Both links are authenticated in any case: there are no settings without it. In production both are TLS."""
        if self.env != "production" or self.plaintext_links:
            return self
        if self.kafka_security != "SASL_SSL":
            raise ValueError("production needs CHFW_KAFKA_SECURITY=SASL_SSL, or CHFW_PLAINTEXT_LINKS=true")
        if parse_qs(urlsplit(self.database_dsn).query).get("sslmode") != [_CHECKED_TLS]:
            raise ValueError(
                f"production needs sslmode={_CHECKED_TLS} in CHFW_DATABASE_DSN, or CHFW_PLAINTEXT_LINKS=true"
            )
        return self

    def kafka(self) -> KafkaAccess:
        """How this service reaches Kafka, and who it is there."""
        return KafkaAccess(
            bootstrap=self.kafka_bootstrap,
            username=self.kafka_username,
            password_file=self.kafka_password_file,
            security=self.kafka_security,
            ca_file=self.kafka_ca_file,
        )

    def postgres(self) -> Mapping[str, str]:
        """Parameters of Postgres that the sessions of this service run with, beside the limits of all services."""
        return {}
