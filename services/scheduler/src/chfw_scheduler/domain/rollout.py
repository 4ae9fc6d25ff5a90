"""A release as the scheduler acts on it: its image, its terms, the decision in force, the settings of time."""

from dataclasses import dataclass, field
from datetime import timedelta

from chfw_common.kernel.applicability import Image
from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import ENDS, Mode
from chfw_scheduler.domain.merge import Terms


@dataclass(frozen=True, slots=True)
class Pacing:
    """How long things may take (ARCHITECTURE section 6). Every value is a setting of the service."""

    automatic_lead: timedelta = timedelta(days=28)
    arming_window: timedelta = timedelta(hours=24)
    asap_lead: timedelta = timedelta(hours=1)
    permit_ttl: timedelta = timedelta(minutes=10)
    silent_after: timedelta = timedelta(hours=24)
    read_attempts: int = 3
    delivery_timeout: timedelta = timedelta(days=14)
    retries: int = 3
    retry_after: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision of the highest epoch; before the first, a release is at epoch 0, held."""

    epoch: int = 0
    min_epoch: int = 0
    mode: Mode = Mode.HELD
    automatic_date: Instant | None = None
    decided_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """One release."""

    release_id: ReleaseId
    image: Image
    image_hash: str
    terms: Terms
    decision: Decision
    pacing: Pacing = field(default_factory=Pacing)
    cpl_active: bool = True
    cpl_active_since: Instant | None = None

    @property
    def may_claim(self) -> bool:
        """Whether anything may be distributed or armed.

        What was held at D goes on with a new D only: neither a decision nor a CPL entry that becomes Active at D or
        later lets overdue hubs go (REQUIREMENTS, consent rules).
        """
        decision = self.decision
        if not self.cpl_active or decision.mode not in {Mode.PILOT, Mode.RUN} or decision.decided_at is None:
            return False
        date = self.terms.automatic_date
        return decision.decided_at < date and (self.cpl_active_since is None or self.cpl_active_since < date)

    @property
    def ended(self) -> bool:
        """Stopped or revoked: nothing begins any more, and time makes no more facts of consent."""
        return self.decision.mode in ENDS

    @property
    def pilot_only(self) -> bool:
        """Whether only pilot hubs may be distributed to or armed."""
        return self.decision.mode is not Mode.RUN
