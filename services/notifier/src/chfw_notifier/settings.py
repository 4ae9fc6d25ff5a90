"""What the environment tells the notifier."""

from typing import Literal

from pydantic import Field

from chfw_common.kernel.ids import PartyId
from chfw_common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of the notifier."""

    organisations: dict[PartyId, Literal["CSP", "DCC", "PANEL"]] = Field(
        default_factory=dict,
        description='Parties told besides the Suppliers, by role, e.g. {"csp-north": "CSP"}; '
        "others become known when they first read their feed",
    )
