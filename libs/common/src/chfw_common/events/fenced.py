"""rollout.fenced: a CSP edge refuses everything older than an epoch from now on."""

from typing import ClassVar

from chfw_common.events.base import Edge, Event, Number, ReleaseRef, UtcInstant


class RolloutFenced(Event):
    """The acknowledgement of one edge (one per region)."""

    TOPIC: ClassVar[str] = "rollout.fenced"
    TYPE: ClassVar[str] = "uk.chfw.rollout.fenced.v1"

    release_id: ReleaseRef
    edge: Edge
    min_epoch: Number
    fenced_at: UtcInstant
