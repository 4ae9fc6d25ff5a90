"""rollout.progressed: what the scheduler reports of a whole release."""

from enum import StrEnum
from typing import ClassVar

from chfw_common.events.base import Event, Number, ReleaseRef, Tally, UtcInstant
from chfw_common.kernel.rollout import HubState


class ProgressKind(StrEnum):
    """PILOT_STARTED and PILOT_ENDED frame the pilot (R2-5, R2-7); FENCING and EFFECTIVE follow a halt.

    The others follow the hubs: TOTALS and AT_RISK tell what has changed since the last event, ALL_FINAL that no hub has
    anything left to do.
    """

    PILOT_STARTED = "pilot_started"
    PILOT_ENDED = "pilot_ended"
    FENCING = "fencing"
    EFFECTIVE = "effective"
    AT_RISK = "at_risk"
    TOTALS = "totals"
    ALL_FINAL = "all_final"


class RolloutProgressed(Event):
    """How a release stands: the totals by state at an instant, and what they are told for.

    `epoch` is that of the last halt; 0 before the first. `at_risk` counts hubs whose CS06 may fire and must not: it is
    older than that halt, or the hub has departed or is superseded. It is told until it is 0.
    """

    TOPIC: ClassVar[str] = "rollout.progressed"
    TYPE: ClassVar[str] = "uk.chfw.rollout.progressed.v1"

    release_id: ReleaseRef
    kind: ProgressKind
    epoch: Number
    at: UtcInstant
    totals: dict[HubState, Tally]
    at_risk: Tally
