"""What every service is told by its environment. One frozen class per service extends it; nothing else reads it."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from chfw_common.kernel.ids import PartyId
from chfw_common.kernel.numbers import LONGEST_SPAN
from chfw_common.runtime.kafka.access import KafkaAccess, Security

TOKEN_LEEWAY = timedelta(seconds=30)
BODY_TIME = timedelta(minutes=2)
HEAD_TIME = timedelta(seconds=10)
ANSWER_TIME = timedelta(seconds=30)
LOCAL_ISSUER = "chfw-local"
"""The `iss` of tokens that `chfw token` and the demonstration sign on this machine."""
_HERE = frozenset({"127.0.0.1", "::1", "localhost"})
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
    http_host: str = Field(default="127.0.0.1", description="Address of the public listener: that of Parties")
    http_port: int = Field(default=8080, description="Port of the public listener", ge=0, le=65535)
    http_connections: int = Field(
        default=800,
        ge=1,
        description="Connections of the public listener; beyond them one that waits is closed, or the new one told 503",
    )
    http_connections_per_address: int = Field(
        default=200, ge=1, description="Those of one address (IPv6: of one /64) among them; a proxy counts as one"
    )
    operator_host: str = Field(
        default="127.0.0.1", description="Address of the listener for operators: an inner network only"
    )
    operator_port: int = Field(default=8081, description="Port of the listener for operators", ge=0, le=65535)
    operator_connections: int = Field(default=64, ge=1, description="Connections of the listener for operators")
    head_time: timedelta = Field(
        default=HEAD_TIME,
        ge=timedelta(seconds=1),
        le=timedelta(minutes=5),
        description="How long the head of a request may take to come; then 408",
    )
    answer_time: timedelta = Field(
        default=ANSWER_TIME,
        ge=timedelta(seconds=1),
        le=timedelta(hours=1),
        description="How long a client may take nothing of its answer; then the connection is closed",
    )
    body_memory: int = Field(
        default=128 << 20,
        ge=1 << 20,
        description="Bytes, decoded, of all bodies under way, of which a Party may have half; then 429 or 503",
    )
    bodies_at_once: int = Field(
        default=64, ge=4, description="Bodies under way, of which a Party may have a quarter; then 429 or 503"
    )
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
    audit_key_file: Path | None = Field(
        default=None,
        description="The key that signs checkpoints of the audit log (Ed25519, PEM, mode 0600); else there are none",
    )
    audit_checkpoint_file: Path | None = Field(
        default=None,
        description="Where checkpoints are appended: outside the database, and only this process writes it",
    )
    audit_checkpoint_records: int = Field(
        default=1_000, ge=1, description="A checkpoint is made at the latest after so many records of the audit log"
    )
    audit_checkpoint_interval: timedelta = Field(
        default=timedelta(minutes=1),
        ge=timedelta(seconds=1),
        description="A checkpoint is made at the latest so long after a record of the audit log",
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

    @model_validator(mode="after")
    def _short_enough(self) -> Self:
        """No duration is negative, or so long that a time which is computed with it would overflow."""
        for name, value in self:
            if isinstance(value, timedelta) and not timedelta(0) <= value <= LONGEST_SPAN:
                raise ValueError(f"{name} must lie between 0 and {LONGEST_SPAN.days} days")
        return self

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
