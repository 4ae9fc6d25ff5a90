"""request.progressed: what became of a request of a Party, for that Party alone (R4-1, R4-2)."""

from typing import ClassVar

from pydantic import Field

from chfw_common.events.base import Counter, Event, Number, PartyRef, ReleaseRef, UtcInstant
from chfw_common.kernel.rollout import AnswerKind, Group


class RequestProgressed(Event):
    """A request of a Party: once when it is accepted, once when its last entry has a verdict.

    Nothing is counted and `done_at` is None before it is judged. No other Party may hear of it.
    """

    TOPIC: ClassVar[str] = "request.progressed"
    TYPE: ClassVar[str] = "uk.chfw.request.progressed.v1"

    request_id: str
    release_id: ReleaseRef
    party: PartyRef
    party_seq: Counter
    kind: AnswerKind
    group: Group
    activate_at: UtcInstant | None
    received_at: UtcInstant
    entries: Number
    verdicts: dict[str, Number] = Field(default_factory=dict)
    done_at: UtcInstant | None = None
