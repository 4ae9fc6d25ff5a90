"""rollout.decision: what the DCC decided about a release (R5-3 to R5-6)."""

from typing import ClassVar

from chfw_common.events.base import Event, UtcInstant
from chfw_common.events.waves import StatedWaves
from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.rollout import Mode


class RolloutDecision(Event):
    """One line of epochs per release, no gaps. `min_epoch` is the epoch of the last halt.

    `automatic_date` and `waves` are those in force from this epoch on; they are always stated. `mode_since` is when the
    mode became what it is: a decision that moves dates only leaves it. `without_pilot` is the reason to run although no
    hub of the pilot had come to an end.
    """

    TOPIC: ClassVar[str] = "rollout.decision"
    TYPE: ClassVar[str] = "uk.chfw.rollout.decision.v1"

    release_id: ReleaseId
    epoch: int
    min_epoch: int
    mode: Mode
    mode_since: UtcInstant
    automatic_date: UtcInstant
    waves: StatedWaves = ()
    reason: str
    confirmed_by: str | None
    without_pilot: str | None = None
    decided_at: UtcInstant

    @property
    def number(self) -> int:
        """The place in the release's line of decisions."""
        return self.epoch
