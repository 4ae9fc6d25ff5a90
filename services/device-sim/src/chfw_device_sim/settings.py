"""What the simulated network is told by its environment. All rates are assumptions, printed by a route of its own."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from chfw_common.kernel.numbers import LONGEST_SPAN
from chfw_common.runtime.settings import ServiceSettings

Rate = Annotated[float, Field(ge=0, le=1)]
DailyRate = Annotated[float, Field(ge=0, le=0.5)]


class Between(BaseModel):
    """A duration, evenly spread between two bounds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: timedelta = Field(ge=timedelta(0), le=LONGEST_SPAN)
    max: timedelta = Field(ge=timedelta(0), le=LONGEST_SPAN)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError("min must not exceed max")
        return self


class RegionCapacity(BaseModel):
    """What the network of one region carries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_hour: int = Field(ge=1, le=1_000_000_000)
    in_flight: int = Field(ge=1, le=1_000_000_000)


_HOURS_TO_DAYS = Between(min=timedelta(hours=4), max=timedelta(days=3))
_TENS_OF_MINUTES_TO_HOURS = Between(min=timedelta(minutes=20), max=timedelta(hours=6))
_MINUTES = Between(min=timedelta(minutes=2), max=timedelta(minutes=20))
_DELIVERY_TIMES = {
    "North": _HOURS_TO_DAYS,
    "Central": _TENS_OF_MINUTES_TO_HOURS,
    "South": _TENS_OF_MINUTES_TO_HOURS,
    "4G North": _MINUTES,
    "4G Central": _MINUTES,
    "4G South": _MINUTES,
}
_OUT_OF_REACH = {
    "North": 0.08, "Central": 0.06, "South": 0.06, "4G North": 0.03, "4G Central": 0.03, "4G South": 0.03
}  # fmt: skip
_CAPACITY = dict.fromkeys(_DELIVERY_TIMES, RegionCapacity(per_hour=1_000_000, in_flight=1_000_000))


class Settings(ServiceSettings):
    """Settings of the edges and of the fleet. What is given for some regions leaves the others as they are."""

    transaction_limit: timedelta = Field(
        default=timedelta(seconds=10),
        gt=timedelta(0),
        description="Postgres ends a transaction of the edges that takes longer (machine time), so they forward within"
        " this of a look at their clock, or not at all. The scheduler's `forward_within` must not be shorter",
    )
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
    rate_out_of_reach: dict[str, DailyRate] = Field(
        default=_OUT_OF_REACH,
        description="Share of a region's hubs that are not heard on a given day and answer the next (assumption)",
    )
    rate_file_transfer_failure: Rate = Field(
        default=0.005, description="Share of transfers that end in FileTransferFailure (assumption)"
    )
    rate_hardware_version_mismatch: Rate = Field(
        default=0.001, description="Share of transfers that end in HardwareVersionMismatch (assumption)"
    )
    rate_firmware_image_discarded: Rate = Field(
        default=0.001, description="Share of transfers that end in FirmwareImageDiscarded (assumption)"
    )
    rate_no_image_held: Rate = Field(default=0.007, description="Share of activations with outcome 1 (assumption)")
    rate_hash_mismatch: Rate = Field(default=0.001, description="Share of activations with outcome 2 (assumption)")
    rate_activation_failure: Rate = Field(default=0.007, description="Share of activations with outcome 3 (assumption)")
    rate_lost_alert: Rate = Field(default=0.01, description="Share of alerts that get lost (assumption)")
    rate_late_alert: Rate = Field(default=0.01, description="Share of alerts that come late (assumption)")
    late_alert: Between = Field(
        default=Between(min=timedelta(hours=1), max=timedelta(hours=12)),
        description="How late a late alert is (assumption)",
    )
    rate_repeated_alert: Rate = Field(default=0.005, description="Share of alerts that come twice (assumption)")
    repeated_alert: Between = Field(
        default=Between(min=timedelta(minutes=1), max=timedelta(hours=2)),
        description="How long after the first the second comes (assumption)",
    )
    rate_slow_restart: Rate = Field(
        default=0.02, description="Share of activations whose restart delays what the hub says (assumption)"
    )
    slow_restart: Between = Field(
        default=Between(min=timedelta(minutes=1), max=timedelta(minutes=10)),
        description="How long such a restart takes (assumption)",
    )
    delivery_times: dict[str, Between] = Field(
        default=_DELIVERY_TIMES, description="How long an image travels, by region (assumption)"
    )
    delivery_grid: timedelta = Field(
        default=timedelta(minutes=1),
        gt=timedelta(0),
        description="Arrivals, and what is heard late, are rounded up to it: the coarser, the fuller the chunks",
    )
    region_capacity: dict[str, RegionCapacity] = Field(
        default=_CAPACITY,
        description="Deliveries begun per hour and deliveries at once, by region; beyond that they wait (assumption)",
    )

    def postgres(self) -> Mapping[str, str]:
        """The limit of a transaction. Postgres knows it from version 17 on, and refuses the connection before."""
        return {"transaction_timeout": f"{int(self.transaction_limit.total_seconds() * 1000)}ms"}

    @field_validator("rate_out_of_reach", mode="before")
    @classmethod
    def _other_rates(cls, given: Any) -> Any:
        return {**_OUT_OF_REACH, **given} if isinstance(given, dict) else given

    @field_validator("delivery_times", mode="before")
    @classmethod
    def _other_times(cls, given: Any) -> Any:
        return {**_DELIVERY_TIMES, **given} if isinstance(given, dict) else given

    @field_validator("region_capacity", mode="before")
    @classmethod
    def _other_capacities(cls, given: Any) -> Any:
        return {**_CAPACITY, **given} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for what, *rates in (
            ("activations", self.rate_no_image_held, self.rate_hash_mismatch, self.rate_activation_failure),
            (
                "transfers",
                self.rate_file_transfer_failure,
                self.rate_hardware_version_mismatch,
                self.rate_firmware_image_discarded,
            ),
            ("alerts", self.rate_lost_alert, self.rate_late_alert, self.rate_repeated_alert),
        ):
            if sum(rates) > 1:
                raise ValueError(f"the rates of {what} exceed 1")
        if not self.edges or len(set(self.edges)) != len(self.edges):
            raise ValueError("edges must be named, each once")
        for name in ("rate_out_of_reach", "delivery_times", "region_capacity"):
            unnamed = sorted(set(self.edges) - set(getattr(self, name)))
            if unnamed:
                raise ValueError(f"{name} says nothing of {', '.join(unnamed)}")
        return self
