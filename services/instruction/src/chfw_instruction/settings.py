"""What the environment tells intake."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from chfw_common.kernel.ids import PartyId
from chfw_common.runtime.settings import ServiceSettings
from chfw_instruction.domain.quota import Quota

Most = Annotated[int, Field(ge=1)]


class PartyQuota(BaseModel):
    """What is another for one Party; what is not stated is as for all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    open_requests: Most | None = None
    open_entries: Most | None = None
    entries_burst: Most | None = None
    entries_per_minute: Most | None = None
    entries_per_day: Most | None = None


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
    large_bodies_at_once: int = Field(
        default=2,
        ge=1,
        description="Bodies of one Party over 64 KiB that this process reads at once; each may take 100 MB. "
        "More are answered 429",
    )
    open_requests: int = Field(
        default=50,
        ge=1,
        description="Requests of one Party without all verdicts; with so many the next is answered 429",
    )
    open_entries: int = Field(
        default=250_000,
        ge=1,
        description="Entries without a verdict in all requests of one Party; with so many the next is answered 429",
    )
    entries_burst: int = Field(
        default=100_000,
        ge=1,
        description="Entries that one Party may send together; with so many, less those that have flowed off, the next "
        "request is answered 429. What others may wait for behind intake grows with it",
    )
    entries_per_minute: int = Field(
        default=300_000,
        ge=1,
        description="Entries of one Party that flow off in a minute of the machine: 15 million hubs in 50 minutes",
    )
    entries_per_day: int = Field(
        default=60_000_000,
        ge=1,
        description="Entries that one Party may send in a day (UTC), before the next request is answered 429: "
        "15 million hubs, half of a large estate, four times",
    )
    party_quotas: dict[PartyId, PartyQuota] = Field(
        default_factory=dict,
        description='Parties with another quota, e.g. {"SUP01": {"open_requests": 100, "open_entries": 1000000, '
        '"entries_per_day": 100000000}}',
    )

    def quota(self, party: PartyId) -> Quota:
        """What a Party may use."""
        own = self.party_quotas.get(party, PartyQuota())
        return Quota(
            own.open_requests or self.open_requests,
            own.open_entries or self.open_entries,
            own.entries_burst or self.entries_burst,
            own.entries_per_minute or self.entries_per_minute,
            own.entries_per_day or self.entries_per_day,
        )
