"""What the environment tells governance."""

from datetime import timedelta

from pydantic import Field

from chfw_common.kernel.waves import SOAK
from chfw_common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of the governance service."""

    resume_notice: timedelta = Field(
        default=timedelta(days=7), description="How far ahead a new automatic date must be to go on after the old one"
    )
    soak: timedelta = Field(
        default=SOAK, description="From the automatic date of a wave to the opening of the next, at least"
    )
