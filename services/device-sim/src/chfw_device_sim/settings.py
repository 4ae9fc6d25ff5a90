"""What the simulated network is told by its environment. All rates are assumptions, printed by a route of its own."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from chfw_common.runtime.settings import ServiceSettings

Rate = Annotated[float, Field(ge=0, le=1)]


class Settings(ServiceSettings):
    """Settings of the edges and of the fleet."""

    edges: tuple[str, ...] = Field(
        default=("North", "Central", "South", "4G North", "4G Central", "4G South"),
        description="One CSP edge per region; a halt is effective when all have acknowledged it",
    )
    max_skew: timedelta = Field(
        default=timedelta(seconds=5),
        description="Machine time: a message from further ahead is refused, because permits cannot be judged",
    )
    fleet_seed: int = Field(default=1, description="The same seed gives every hub the same fate")
    rate_never_answers: Rate = Field(default=0.01, description="Share of hubs out of reach for ever (assumption)")
    rate_delivery_failure: Rate = Field(default=0.007, description="Share of transfers that fail (assumption)")
    rate_no_image_held: Rate = Field(default=0.007, description="Share of activations with outcome 1 (assumption)")
    rate_hash_mismatch: Rate = Field(default=0.001, description="Share of activations with outcome 2 (assumption)")
    rate_activation_failure: Rate = Field(default=0.007, description="Share of activations with outcome 3 (assumption)")
    rate_lost_alert: Rate = Field(default=0.01, description="Share of alerts that get lost (assumption)")
    delivery_min: timedelta = Field(default=timedelta(hours=1), description="Fastest delivery of an image")
    delivery_max: timedelta = Field(
        default=timedelta(days=3), description="Slowest delivery; evenly spread between the two (assumption)"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.rate_no_image_held + self.rate_hash_mismatch + self.rate_activation_failure > 1:
            raise ValueError("the rates of failed activations exceed 1")
        if not timedelta(0) <= self.delivery_min <= self.delivery_max:
            raise ValueError("delivery_min must not exceed delivery_max, nor be negative")
        if not self.edges or len(set(self.edges)) != len(self.edges):
            raise ValueError("edges must be named, each once")
        return self
