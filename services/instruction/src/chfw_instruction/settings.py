"""What the environment tells intake."""

from pydantic import Field

from chfw_common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of the instruction service."""

    request_limit: int = Field(
        default=250_000, ge=50_000, description="Entries one request may have; the Code asks for at least 50,000"
    )
