"""instruction.received: what a Party answered for hubs that passed validation (R3-1)."""

from typing import ClassVar

from chfw_common.events.base import Counter, Event, HubRef, PartyRef, ReleaseRef, UserRef, UtcInstant
from chfw_common.kernel.rollout import AnswerKind, Group


class InstructionReceived(Event):
    """Part of one accepted request: hubs of one partition. `party_seq` orders the requests of a Party."""

    TOPIC: ClassVar[str] = "instruction.received"
    TYPE: ClassVar[str] = "uk.chfw.instruction.received.v1"

    request_id: str
    release_id: ReleaseRef
    party: PartyRef
    user_id: UserRef
    party_seq: Counter
    kind: AnswerKind
    group: Group
    received_at: UtcInstant
    activate_at: UtcInstant | None
    hubs: tuple[HubRef, ...]

    @property
    def weight(self) -> int:
        """The hubs named."""
        return len(self.hubs)
