"""What the environment tells intake."""

from pydantic import Field

from chfw_common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of the instruction service."""

    request_limit: int = Field(
        default=250_000, ge=50_000, description="Entries one request may have; the Code asks for at least 50,000"
    )
    body_limit: int = Field(
        default=64 << 20,
        ge=4 << 20,
        description="Bytes one body may have, decoded as well as sent; more is answered 413",
    )
    body_ratio: int = Field(
        default=100,
        ge=2,
        description="Decoded bytes for each byte sent that a compressed body may have, from its first MiB on",
    )
