"""hub.progressed: where hubs stand in a release. Full state each time, so that any later one replaces any earlier."""

from typing import ClassVar

from chfw_common.events.base import Code, Counter, Event, HubRef, Part, PartyRef, ReleaseRef, UtcInstant
from chfw_common.kernel.rollout import AnswerKind, HubState


class HubProgress(Part):
    """Hubs that stand alike, each with the version of its row in the ledger, which strictly grows per (release, hub).

    Hubs of a request share nearly everything, so what they share is said once.
    `answers` says what each responsible Party has answered (None: nothing); `proposed_at` is the latest stated time,
    computed by the scheduler only; `wave` is None for hubs that are in none. The notifier builds each Party's view from
    it; no Party sees the whole of it.
    `too_late` names the Party whose answer met a hub that was armed already: nothing else is new then, and nobody but
    that Party may hear of it.
    `news_for` names those for whom something has changed: nobody else is told. None: all whom the item names.
    """

    hubs: dict[HubRef, Counter]
    state: HubState
    reason: str | None = None
    activate_at: UtcInstant | None = None
    answer_by: UtcInstant | None = None
    proposed_at: UtcInstant | None = None
    pilot: bool = False
    wave: str | None = None
    answers: dict[PartyRef, AnswerKind | None]
    lapsed: tuple[PartyRef, ...] = ()
    too_late: tuple[PartyRef, ...] = ()
    news_for: tuple[PartyRef, ...] | None = None


class HubProgressed(Event):
    """Where hubs of one release and one partition stand; no hub is named twice."""

    TOPIC: ClassVar[str] = "hub.progressed"
    TYPE: ClassVar[str] = "uk.chfw.hub.progressed.v1"

    release_id: ReleaseRef
    firmware: Code
    items: tuple[HubProgress, ...]

    @property
    def weight(self) -> int:
        """The hubs named."""
        return sum(len(item.hubs) for item in self.items)
