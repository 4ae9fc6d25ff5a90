"""What every service is told by its environment. One frozen class per service extends it; nothing else reads it."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from chfw_common.kernel.ids import PartyId

TOKEN_LEEWAY = timedelta(seconds=30)
BODY_TIME = timedelta(minutes=2)


LOCAL_ISSUER = "chfw-local"
"""The `iss` of tokens that `chfw token` and the demonstration sign on this machine."""
_HERE = frozenset({"127.0.0.1", "::1", "localhost"})


class ServiceSettings(BaseSettings):
    """Settings shared by all services; names in the environment begin with CHFW_."""

    model_config = SettingsConfigDict(env_prefix="CHFW_", frozen=True, extra="forbid", hide_input_in_errors=True)

    env: Literal["local", "production"] = Field(
        default="local", description="`production` refuses what is for trying things out, such as servers without TLS"
    )
    database_dsn: str = Field(description="Postgres as this service's own role, e.g. postgresql://chfw_smi@host/chfw")
    kafka_bootstrap: str = Field(description="host:port of a broker")
    jwks_file: Path | None = Field(
        default=None, description="Public keys that tokens are verified with (JWKS), as a file; or else:"
    )
    jwks_url: str | None = Field(
        default=None,
        description="The same, where the issuer publishes them: `https`, or `http` on this machine",
    )
    token_issuer: str = Field(
        default=LOCAL_ISSUER,
        min_length=1,
        description="The `iss` a token must carry; the default is the local issuer, which `production` refuses",
    )
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
    requests_per_minute: int = Field(
        default=600,
        ge=1,
        description="Requests a Party may send to this service a minute, on average; more are answered 429. "
        "The DCC has no such limit",
    )
    requests_burst: int = Field(
        default=300, ge=1, description="Requests a Party may send together when it has sent none for a while"
    )
    requests_at_once: int = Field(
        default=8, ge=1, description="Requests of a Party that this process works on at once; more are answered 429"
    )
    requests_per_minute_of: dict[PartyId, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict,
        description='Parties that may send more, or fewer, requests a minute, e.g. {"SUP01": 1200}; '
        "their burst grows with it",
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

    @model_validator(mode="after")
    def _knows_its_issuer(self) -> Self:
        """Tokens are verified with keys of one place, and in production never with those of the local issuer."""
        if (self.jwks_file is None) == (self.jwks_url is None):
            raise ValueError("either CHFW_JWKS_FILE or CHFW_JWKS_URL says where the keys of tokens are")
        url = urlsplit(self.jwks_url or "https:")
        if url.scheme != "https" and (url.scheme != "http" or url.hostname not in _HERE or self.env == "production"):
            raise ValueError("CHFW_JWKS_URL must begin with https://")
        if self.env == "production" and self.token_issuer == LOCAL_ISSUER:
            raise ValueError("production needs CHFW_TOKEN_ISSUER: the local issuer is for trying things out")
        return self

    def postgres(self) -> Mapping[str, str]:
        """Parameters of Postgres that the sessions of this service run with, beside the limits of all services."""
        return {}
