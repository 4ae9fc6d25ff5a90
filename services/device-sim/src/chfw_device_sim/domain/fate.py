"""What becomes of a hub: drawn from a seed, the hub, the release and the attempt, the same every time.

Every rate here is an assumption for trying things out. None is a figure of the DCC or of anybody's network.
"""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b

from chfw_common.kernel.ids import HubId, ReleaseId

SUCCESS = 0
NO_IMAGE_HELD = 1
HASH_MISMATCH = 2
ACTIVATION_FAILURE = 3
"""activateImageResponseCode of GBCS."""

_RESOLUTION = 1 << 64


@dataclass(frozen=True, slots=True)
class Assumptions:
    """One rate for each thing that can go wrong, and how long a delivery takes (evenly spread)."""

    never_answers: float
    delivery_failure: float
    no_image_held: float
    hash_mismatch: float
    activation_failure: float
    lost_alert: float
    delivery_min: timedelta
    delivery_max: timedelta


@dataclass(frozen=True, slots=True)
class Fate:
    """The draws of one simulated world."""

    seed: int
    assumed: Assumptions

    def never_answers(self, hub: HubId) -> bool:
        """Whether this hub is out of reach for ever: no release and no attempt changes that."""
        return self._draw("never_answers", hub, "", 0) < self.assumed.never_answers

    def delivery_delay(self, hub: HubId, release_id: ReleaseId, attempt: int) -> timedelta:
        """How long the image travels."""
        spread = self.assumed.delivery_max - self.assumed.delivery_min
        return self.assumed.delivery_min + self._draw("delivery_delay", hub, release_id, attempt) * spread

    def delivery_fails(self, hub: HubId, release_id: ReleaseId, attempt: int) -> bool:
        """Whether the transfer fails."""
        return self._draw("delivery", hub, release_id, attempt) < self.assumed.delivery_failure

    def activation(self, hub: HubId, release_id: ReleaseId, attempt: int) -> int:
        """The outcome of an activation, as far as chance decides it."""
        drawn = self._draw("activation", hub, release_id, attempt)
        beyond = 0.0
        for rate, outcome in (
            (self.assumed.no_image_held, NO_IMAGE_HELD),
            (self.assumed.hash_mismatch, HASH_MISMATCH),
            (self.assumed.activation_failure, ACTIVATION_FAILURE),
        ):
            beyond += rate
            if drawn < beyond:
                return outcome
        return SUCCESS

    def loses_alert(self, hub: HubId, release_id: ReleaseId, attempt: int) -> bool:
        """Whether the alert of an executed command gets lost on its way, whatever it says."""
        return self._draw("lost_alert", hub, release_id, attempt) < self.assumed.lost_alert

    def _draw(self, what: str, hub: HubId, release_id: str, attempt: int) -> float:
        text = f"{self.seed}|{what}|{hub}|{release_id}|{attempt}"
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") / _RESOLUTION
