"""What the environment tells the notifier."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from chfw_common.kernel.ids import PartyId
from chfw_common.kernel.waves import SOAK
from chfw_common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of the notifier."""

    organisations: dict[PartyId, Literal["CSP", "DCC", "PANEL"]] = Field(
        default_factory=dict,
        description='Parties told besides the Suppliers, by role, e.g. {"csp-north": "CSP"}; '
        "others become known when they first read their feed",
    )
    soak: timedelta = Field(
        default=SOAK, description="From the automatic date of a wave to the opening of the next, at least"
    )
