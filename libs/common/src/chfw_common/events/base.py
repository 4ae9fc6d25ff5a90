"""What every event shares: immutability, tolerance of unknown fields, and the spelling of ids and instants."""

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from chfw_common.kernel.codes import code
from chfw_common.kernel.ids import GREATEST_HUB, LEAST_HUB, HubId, hub_hex, parse_hub_id
from chfw_common.kernel.instants import require_utc


def _read_hub(value: object) -> HubId:
    if isinstance(value, str):
        return parse_hub_id(value)
    if type(value) is int and LEAST_HUB <= value <= GREATEST_HUB:
        return HubId(value)
    raise ValueError("a hub id is text, or a signed number of 64 bits")


HubRef = Annotated[HubId, BeforeValidator(_read_hub), PlainSerializer(hub_hex, when_used="json")]
Code = Annotated[str, AfterValidator(code)]
"""A manufacturer, model, hardware or firmware, spelt as it is compared."""
UtcInstant = Annotated[datetime, AfterValidator(require_utc)]


class Part(BaseModel):
    """A value inside an event. Readers ignore what they do not know, so a major version may grow."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Part):
    """One fact on a topic. TYPE is the CloudEvents type; its last segment is the major version."""

    TOPIC: ClassVar[str]
    TYPE: ClassVar[str]

    @property
    def weight(self) -> int:
        """How many hubs the event concerns: what a transaction's size is counted in."""
        return 1
