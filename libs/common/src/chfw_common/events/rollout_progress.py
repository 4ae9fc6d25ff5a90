"""rollout.progressed: what the scheduler reports of a whole release."""

from enum import StrEnum
from typing import ClassVar

from chfw_common.events.base import Event, UtcInstant
from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.rollout import HubState


class ProgressKind(StrEnum):
    """PILOT_STARTED and PILOT_ENDED frame the pilot (R2-5, R2-7); FENCING and EFFECTIVE follow a decision."""

    PILOT_STARTED = "pilot_started"
    PILOT_ENDED = "pilot_ended"
    FENCING = "fencing"
    EFFECTIVE = "effective"
    ALL_FINAL = "all_final"


class RolloutProgressed(Event):
    """A milestone of a release at a decision's epoch, with the totals by state at that instant.

    `at_risk` counts hubs whose CS06 may still fire: arming, armed, cancelling, or withheld by an edge and not yet
    called back.
    """

    TOPIC: ClassVar[str] = "rollout.progressed"
    TYPE: ClassVar[str] = "uk.chfw.rollout.progressed.v1"

    release_id: ReleaseId
    kind: ProgressKind
    epoch: int
    at: UtcInstant
    totals: dict[HubState, int]
    at_risk: int
