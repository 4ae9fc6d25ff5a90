"""What every service is told by its environment. One frozen class per service extends it; nothing else reads it."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

TOKEN_LEEWAY = timedelta(seconds=30)
BODY_TIME = timedelta(minutes=2)


class ServiceSettings(BaseSettings):
    """Settings shared by all services; names in the environment begin with CHFW_."""

    model_config = SettingsConfigDict(env_prefix="CHFW_", frozen=True, extra="forbid", hide_input_in_errors=True)

    database_dsn: str = Field(description="Postgres as this service's own role, e.g. postgresql://chfw_smi@host/chfw")
    kafka_bootstrap: str = Field(description="host:port of a broker")
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

    def postgres(self) -> Mapping[str, str]:
        """Parameters of Postgres that the sessions of this service run with, beside the limits of all services."""
        return {}
