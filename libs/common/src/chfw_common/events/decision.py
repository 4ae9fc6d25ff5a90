"""rollout.decision: what the DCC decided about a release (R5-3 to R5-6)."""

from typing import ClassVar, Self

from pydantic import model_validator

from chfw_common.events.base import Event, Number, ReleaseRef, UtcInstant
from chfw_common.events.waves import StatedWaves
from chfw_common.kernel.rollout import Mode


class RolloutDecision(Event):
    """One line of epochs per release, no gaps. `min_epoch` is the epoch of the last halt.

    `automatic_date` and `waves` are those in force from this epoch on; they are always stated. `mode_since` is when the
    mode became what it is: a decision that moves dates only leaves it. `without_pilot` is the reason to run although no
    hub of the pilot had come to an end.
    """

    TOPIC: ClassVar[str] = "rollout.decision"
    TYPE: ClassVar[str] = "uk.chfw.rollout.decision.v1"

    release_id: ReleaseRef
    epoch: Number
    min_epoch: Number
    mode: Mode
    mode_since: UtcInstant
    automatic_date: UtcInstant
    waves: StatedWaves = ()
    reason: str
    confirmed_by: str | None
    without_pilot: str | None = None
    decided_at: UtcInstant

    @model_validator(mode="after")
    def _in_one_line(self) -> Self:
        if not 0 <= self.min_epoch <= self.epoch or self.epoch == 0:
            raise ValueError("epochs begin at 1, and no halt is later than the decision")
        return self

    @property
    def number(self) -> int:
        """The place in the release's line of decisions."""
        return self.epoch
