"""What becomes of a hub: drawn from a seed, the hub, the release and the attempt or the day, the same every time.

Every rate here is an assumption for trying things out. None is a figure of the DCC or of anybody's network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import TypeVar

from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant

SUCCESS = 0
NO_IMAGE_HELD = 1
HASH_MISMATCH = 2
ACTIVATION_FAILURE = 3
"""activateImageResponseCode of GBCS."""

T = TypeVar("T")
_RESOLUTION = 1 << 64
_DAY = timedelta(days=1)


class TransferFailure(StrEnum):
    """Why an image does not arrive: TransferResponseCode of DUIS."""

    FILE_TRANSFER_FAILURE = "FileTransferFailure"
    HARDWARE_VERSION_MISMATCH = "HardwareVersionMismatch"
    FIRMWARE_IMAGE_DISCARDED = "FirmwareImageDiscarded"


@dataclass(frozen=True, slots=True)
class Span:
    """A duration between two bounds, evenly spread."""

    least: timedelta = timedelta(0)
    most: timedelta = timedelta(0)


_AT_ONCE = Span()


@dataclass(frozen=True, slots=True)
class Assumptions:
    """One rate for each thing that can go wrong, and how long things take. A region not named has no trouble."""

    never_answers: float = 0
    out_of_reach: Mapping[str, float] = field(default_factory=dict)
    delivery: Mapping[str, Span] = field(default_factory=dict)
    file_transfer_failure: float = 0
    hardware_version_mismatch: float = 0
    firmware_image_discarded: float = 0
    no_image_held: float = 0
    hash_mismatch: float = 0
    activation_failure: float = 0
    lost_alert: float = 0
    late_alert: float = 0
    late: Span = _AT_ONCE
    repeated_alert: float = 0
    repeated: Span = _AT_ONCE
    slow_restart: float = 0
    restart: Span = _AT_ONCE


@dataclass(frozen=True, slots=True)
class Fate:
    """The draws of one simulated world."""

    seed: int
    assumed: Assumptions

    def never_answers(self, hub: HubId) -> bool:
        """Whether this hub is out of reach for ever: no release and no attempt changes that."""
        rate = self.assumed.never_answers
        return rate > 0 and self._draw("never_answers", hub, "", 0) < rate

    def out_of_reach(self, hub: HubId, region: str, day: int) -> bool:
        """Whether this hub cannot be heard on a day (`date.toordinal`).

        Every hub has one such day out of two at most, at twice the rate, so who is silent today answers tomorrow.
        """
        rate = self.assumed.out_of_reach.get(region, 0.0)
        if rate == 0 or self._draw("out_of_reach", hub, "", day) >= 2 * rate:
            return False
        return (self._draw("odd_days", hub, "", 0) < 0.5) == (day % 2 == 1)

    def within_reach(self, hub: HubId, region: str, at: Instant) -> Instant:
        """The first instant from `at` on at which the hub can be heard."""
        if not self.out_of_reach(hub, region, at.toordinal()):
            return at
        return datetime(at.year, at.month, at.day, tzinfo=UTC) + _DAY

    def delivery_delay(self, hub: HubId, region: str, release_id: ReleaseId, attempt: int) -> timedelta:
        """How long the image travels."""
        span = self.assumed.delivery.get(region, _AT_ONCE)
        return self._within(span, "delivery_delay", hub, release_id, attempt)

    def delivery(self, hub: HubId, release_id: ReleaseId, attempt: int) -> TransferFailure | None:
        """Why the transfer fails, or None."""
        failures = (
            (self.assumed.file_transfer_failure, TransferFailure.FILE_TRANSFER_FAILURE),
            (self.assumed.hardware_version_mismatch, TransferFailure.HARDWARE_VERSION_MISMATCH),
            (self.assumed.firmware_image_discarded, TransferFailure.FIRMWARE_IMAGE_DISCARDED),
        )
        return self._one_of("delivery", hub, release_id, attempt, failures)

    def activation(self, hub: HubId, release_id: ReleaseId, attempt: int) -> int:
        """The outcome of an activation, as far as chance decides it."""
        failures = (
            (self.assumed.no_image_held, NO_IMAGE_HELD),
            (self.assumed.hash_mismatch, HASH_MISMATCH),
            (self.assumed.activation_failure, ACTIVATION_FAILURE),
        )
        return self._one_of("activation", hub, release_id, attempt, failures) or SUCCESS

    def restart(self, hub: HubId, release_id: ReleaseId, attempt: int) -> timedelta:
        """How long the hub says nothing because it restarts after an activation; mostly not worth mentioning."""
        rate = self.assumed.slow_restart
        if rate == 0 or self._draw("slow_restart", hub, release_id, attempt) >= rate:
            return timedelta(0)
        return self._within(self.assumed.restart, "restart", hub, release_id, attempt)

    def alert_delays(self, hub: HubId, release_id: ReleaseId, attempt: int) -> tuple[timedelta, ...]:
        """When the alert of an executed command comes, after the hub is back: never, at once, late, or twice."""
        troubles = (
            (self.assumed.lost_alert, "lost"),
            (self.assumed.late_alert, "late"),
            (self.assumed.repeated_alert, "repeated"),
        )
        trouble = self._one_of("lost_alert", hub, release_id, attempt, troubles)
        if trouble == "lost":
            return ()
        if trouble == "late":
            return (self._within(self.assumed.late, "late", hub, release_id, attempt),)
        if trouble == "repeated":
            return (timedelta(0), self._within(self.assumed.repeated, "repeated", hub, release_id, attempt))
        return (timedelta(0),)

    def _one_of(
        self, what: str, hub: HubId, release_id: ReleaseId, attempt: int, chances: Sequence[tuple[float, T]]
    ) -> T | None:
        """What happens of these, each at its rate; None: nothing. What cannot happen is not drawn."""
        if not any(rate for rate, _ in chances):
            return None
        drawn = self._draw(what, hub, release_id, attempt)
        beyond = 0.0
        for rate, outcome in chances:
            beyond += rate
            if drawn < beyond:
                return outcome
        return None

    def _within(self, span: Span, what: str, hub: HubId, release_id: ReleaseId, attempt: int) -> timedelta:
        return span.least + self._draw(what, hub, release_id, attempt) * (span.most - span.least)

    def _draw(self, what: str, hub: HubId, release_id: str, attempt: int) -> float:
        text = f"{self.seed}|{what}|{hub}|{release_id}|{attempt}"
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") / _RESOLUTION
