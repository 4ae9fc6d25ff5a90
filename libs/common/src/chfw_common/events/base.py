"""What every event shares: immutability, tolerance of unknown fields, the spelling of ids and instants, and bounds.

Every value has bounds, so that what is read can be stored, computed with, told on and shown: an event beyond them is
parked before a handler sees it (ADR 0073).
"""

from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from chfw_common.kernel.codes import code
from chfw_common.kernel.ids import (
    GREATEST_HUB,
    LEAST_HUB,
    LONGEST_NAME,
    LONGEST_RELEASE,
    HubId,
    PartyId,
    ReleaseId,
    UserId,
    hub_hex,
    parse_hub_id,
)
from chfw_common.kernel.instants import stated
from chfw_common.kernel.numbers import GREATEST_COUNTER, GREATEST_NUMBER, LONGEST_SPAN

LONGEST_TEXT = 2_000
"""Characters of any text of an event."""


def _read_hub(value: object) -> HubId:
    if isinstance(value, str):
        return parse_hub_id(value)
    if type(value) is int and LEAST_HUB <= value <= GREATEST_HUB:
        return HubId(value)
    raise ValueError("a hub id is text, or a signed number of 64 bits")


HubRef = Annotated[HubId, BeforeValidator(_read_hub), PlainSerializer(hub_hex, when_used="json")]
ReleaseRef = Annotated[ReleaseId, Field(max_length=LONGEST_RELEASE)]
PartyRef = Annotated[PartyId, Field(max_length=LONGEST_NAME)]
UserRef = Annotated[UserId, Field(max_length=LONGEST_NAME)]
Edge = Annotated[str, Field(max_length=LONGEST_NAME)]
"""The region that a CSP edge serves. Ids and edges stand in indices of Postgres, so they are short."""
Code = Annotated[str, AfterValidator(code)]
"""A manufacturer, model, hardware or firmware, spelt as it is compared."""
UtcInstant = Annotated[datetime, AfterValidator(stated)]
"""A time, within the bounds of `kernel.instants`."""
Span = Annotated[timedelta, Field(ge=timedelta(0), le=LONGEST_SPAN)]
"""How long something is waited for."""
Number = Annotated[int, Field(ge=0, le=GREATEST_NUMBER)]
"""A count, an epoch, a version of a notice: what an `int` of Postgres holds."""
Tally = Annotated[int, Field(ge=-GREATEST_NUMBER, le=GREATEST_NUMBER)]
"""A count that is kept by adding and taking away: were it wrong, no halt may hang on that."""
Counter = Annotated[int, Field(ge=0, le=GREATEST_COUNTER)]
"""A counter, or a place in a line: what a `bigint` of Postgres holds."""
AlertCode = Annotated[int, Field(ge=0, le=0xFFFF)]
"""The code of a GBCS alert: two octets."""
Outcome = Annotated[int, Field(ge=0, le=0xFF)]
"""An activateImageResponseCode: one octet."""


class Part(BaseModel):
    """A value inside an event. Readers ignore what they do not know, so a major version may grow."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_max_length=LONGEST_TEXT)


class Event(Part):
    """One fact on a topic. TYPE is the CloudEvents type; its last segment is the major version."""

    TOPIC: ClassVar[str]
    TYPE: ClassVar[str]

    @property
    def weight(self) -> int:
        """How many hubs the event concerns: what a transaction's size is counted in."""
        return 1
