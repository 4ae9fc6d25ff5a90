"""What the scheduler is told by its environment."""

from datetime import timedelta

from pydantic import Field

from chfw_common.runtime.settings import ServiceSettings
from chfw_scheduler.domain.rollout import Pacing

CSP_EDGES = ("North", "Central", "South", "4G North", "4G Central", "4G South")


class Settings(ServiceSettings):
    """Settings of the scheduler; durations are of the roll-out's clock unless said otherwise."""

    automatic_lead: timedelta = Field(
        default=timedelta(days=28), description="How long before D distribution starts for hubs that go at D"
    )
    arming_window: timedelta = Field(
        default=timedelta(hours=24), description="How long before its time a hub is armed; longer puts more at risk"
    )
    asap_lead: timedelta = Field(default=timedelta(hours=1), description="The shortest notice a CS06 gives")
    permit_ttl: timedelta = Field(
        default=timedelta(minutes=10), description="How long an edge may forward a command after its claim"
    )
    silent_after: timedelta = Field(default=timedelta(hours=24), description="No word for this long: the hub is read")
    read_attempts: int = Field(
        default=3, ge=1, le=1_000, description="Unanswered reads after which a hub is unreachable"
    )
    delivery_timeout: timedelta = Field(default=timedelta(days=14), description="No delivery report: the hub is read")
    confirm_timeout: timedelta = Field(
        default=timedelta(hours=24), description="Activated, but the inventory does not show it: the hub is read"
    )
    retries: int = Field(
        default=3, ge=1, le=10, description="Failed deliveries or activations before a hub is given up"
    )
    retry_after: timedelta = Field(default=timedelta(days=1), description="First wait before a retry; it doubles")
    refused_retry: timedelta = Field(
        default=timedelta(minutes=10), description="Pause before what an edge refused (image, CS06, read) is sent again"
    )
    cancel_retry: timedelta = Field(
        default=timedelta(seconds=1),
        description="First pause before a cancel that an edge refused is sent again; it doubles, six times at most",
    )
    edges: tuple[str, ...] = Field(default=CSP_EDGES, description="The CSP edges that must acknowledge a halt")
    max_skew: timedelta = Field(default=timedelta(seconds=5), description="Machine clocks may differ by this much")
    forward_within: timedelta = Field(
        default=timedelta(seconds=10),
        description="Every edge has forwarded a command, or never will, this long after it looked at its clock",
    )
    totals_every: timedelta = Field(
        default=timedelta(hours=1), description="Totals of a release that change are told so often"
    )
    risk_every: timedelta = Field(
        default=timedelta(seconds=10), description="A count at risk that changes is told so often; 0 is told at once"
    )

    def pacing(self) -> Pacing:
        """The settings that the rules take."""
        return Pacing(
            automatic_lead=self.automatic_lead,
            arming_window=self.arming_window,
            asap_lead=self.asap_lead,
            permit_ttl=self.permit_ttl,
            silent_after=self.silent_after,
            read_attempts=self.read_attempts,
            delivery_timeout=self.delivery_timeout,
            confirm_timeout=self.confirm_timeout,
            retries=self.retries,
            retry_after=self.retry_after,
            refused_retry=self.refused_retry,
            cancel_retry=self.cancel_retry,
            max_skew=self.max_skew,
        )
