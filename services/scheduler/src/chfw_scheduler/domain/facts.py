"""What is known of one hub in one release. Facts only: they may come in any order, any number of times, also late.

Each group joins what it knows with what it is told; a repeat changes nothing. What follows from the facts is in
`state.py`; what contradicts them is returned as an anomaly, never raised.
"""

from enum import StrEnum
from typing import NamedTuple

from chfw_common.kernel.hubs import DeviceStatus, DeviceType, HubRecord, Make, Responsibility
from chfw_common.kernel.ids import HubId, PartyId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import AnswerKind, HubState, Mode
from chfw_scheduler.domain.merge import Answer


class Inventory(NamedTuple):
    """What the SMI says of the hub; the highest version wins. Version 0: the SMI has not said anything yet."""

    version: int
    firmware: str
    status: DeviceStatus
    region: str
    responsible: tuple[Responsibility, ...]
    make: Make


UNRECORDED = Inventory(0, "", DeviceStatus.PENDING, "", (), Make(DeviceType.CHF, "", "", "", ""))
"""Stands for the record of a hub that the SMI has not told of yet: no image fits it, and any record replaces it."""


def recorded(hub: HubRecord) -> Inventory:
    """What a record of the SMI says."""
    return Inventory(hub.smi_version, hub.firmware, hub.status, hub.region, hub.responsible, hub.make)


class Word(NamedTuple):
    """What is told of a hub, but for the hub and its version: all that any Party may see of it (see `telling`).

    `answers` is what each responsible Party has answered, in the order of their ids; `lapsed` are the Parties whose
    instruction does not count (any more).
    """

    state: HubState
    reason: str | None
    activate_at: Instant | None
    answer_by: Instant | None
    proposed_at: Instant | None
    pilot: bool
    wave: str | None
    answers: tuple[tuple[PartyId, AnswerKind | None], ...]
    lapsed: tuple[PartyId, ...]


class Withheld(NamedTuple):
    """What the Parties still see of a hub, though it stands otherwise, and until when.

    `import_instructed` and `gas_instructed`: whether the Parties in these roles had instructed then.
    """

    word: Word
    import_instructed: bool
    gas_instructed: bool
    until: Instant


class Consent(NamedTuple):
    """The newest answer of each Party, the waits a tick found over, and the D whose distribution has opened.

    `withheld` is what the Parties see instead of how the hub stands until the day is over; None: they see all.
    """

    answers: tuple[Answer, ...] = ()
    answer_closed: Instant | None = None
    automatic_due: Instant | None = None
    withheld: Withheld | None = None


class Delivery(NamedTuple):
    """The image on its way: the last hand-over to the CSP, and what came of it."""

    epoch: int = 0
    at: Instant | None = None
    tries: int = 0
    delivered_at: Instant | None = None
    failed_at: Instant | None = None
    refused_at: Instant | None = None
    reason: str | None = None

    @property
    def under_way(self) -> bool:
        """Handed over, and no answer yet."""
        return self.at is not None and self.delivered_at is None and not self.failed

    @property
    def failed(self) -> bool:
        """The last hand-over failed or was refused."""
        return self.failed_at is not None and self.at is not None and self.failed_at >= self.at


NEEDS_IMAGE = frozenset({1, 2})
"""activateImageResponseCode after which the image has to be sent again: noImageHeld, and hashMismatch (what the hub
holds is not the image of the CPL)."""
OUTCOME_NOT_APPLIED = -1
"""No alert came and the old version runs: stands where an activateImageResponseCode would."""


class ArmResult(StrEnum):
    """How an arming ended before its time.

    REFUSED: the hub did not take it. WITHHELD: an edge did not forward it; of a copy that passed before, nobody knows.
    """

    REFUSED = "refused"
    WITHHELD = "withheld"
    CANCELLED = "cancelled"


class Arming(NamedTuple):
    """The last CS06 of the hub (known by its counter), its cancellation, and its outcome.

    `planned_for` is the time that consent gave (for asap: the quarter of an hour of the time sent), `fires_at` the
    time in the CS06, which is later when the planned time was too near. `tries` counts the commands that the hub
    refused or carried out and failed. `cancel_counter` is that of the last cancellation, `cancel_at` is None once an
    edge has refused it, `cancel_refused_at` says when, `cancel_refusals` how often, and `cancel_for` is the mode it was
    sent under.
    `outcome` is the activateImageResponseCode or OUTCOME_NOT_APPLIED.
    `doubted_at` is when the hub told an outcome that contradicts the version it says it runs; a read takes it away.
    """

    epoch: int = 0
    counter: int = 0
    at: Instant | None = None
    planned_for: Instant | None = None
    fires_at: Instant | None = None
    accepted_at: Instant | None = None
    ended: ArmResult | None = None
    ended_at: Instant | None = None
    reason: str | None = None
    cancel_counter: int = 0
    cancel_at: Instant | None = None
    cancel_for: Mode | None = None
    cancel_refused_at: Instant | None = None
    cancel_refusals: int = 0
    too_late_at: Instant | None = None
    outcome: int | None = None
    outcome_at: Instant | None = None
    tries: int = 0
    doubted_at: Instant | None = None

    @property
    def doubted(self) -> bool:
        """The outcome contradicts the version that the hub says it runs, and no read has settled it."""
        return self.doubted_at is not None

    @property
    def binds(self) -> bool:
        """A CS06 is in force, or was carried out as far as is known: the hub stands where that has brought it."""
        return self.in_force or self.outcome == 0 or self.doubted

    @property
    def in_force(self) -> bool:
        """A CS06 was sent and neither ended nor carried out."""
        return self.at is not None and self.ended is None and self.outcome is None

    @property
    def refused(self) -> bool:
        """The hub or an edge refused it."""
        return self.ended in {ArmResult.REFUSED, ArmResult.WITHHELD}

    @property
    def may_fire(self) -> bool:
        """In force, or withheld by an edge: then the hub may have got a copy all the same, and its answer got lost."""
        return self.in_force or (self.ended is ArmResult.WITHHELD and self.outcome is None)

    @property
    def cancelling(self) -> bool:
        """The CS06 in force has been called back, and the hub has not answered that. An edge may have refused it."""
        return self.in_force and self.cancel_for is not None and self.too_late_at is None

    @property
    def cancel_refused(self) -> bool:
        """An edge has refused the last cancellation: it is to be sent again."""
        return self.cancelling and self.cancel_at is None

    @property
    def reported(self) -> bool:
        """The hub itself has told the outcome: nothing else has a say."""
        return self.outcome is not None and self.outcome != OUTCOME_NOT_APPLIED


NOT_ARMED = Arming()
"""No CS06 yet. Rows share this one, so that the many without a CS06 are told apart at a glance."""


class Silence(NamedTuple):
    """No word from the hub: since when, when it last spoke, and the reading back of its version.

    A read that an edge refused did not reach the hub: it is not among `reads`.

    Handing over the image, arming, and an outcome that comes after all begin a new conversation: `since` is None again.
    """

    since: Instant | None = None
    last_word_at: Instant | None = None
    reads: int = 0
    read_counter: int = 0
    read_at: Instant | None = None
    read_refused_at: Instant | None = None
    unreachable_at: Instant | None = None

    @property
    def silent(self) -> bool:
        """Found silent, and not heard of since."""
        return self.since is not None and (self.last_word_at is None or self.last_word_at < self.since)

    def over(self) -> "Silence":
        """A new conversation with the hub: an old silence says nothing about it."""
        return self if self.since is None else self._replace(since=None, reads=0, unreachable_at=None)


class Facts(NamedTuple):
    """The ledger row of one hub in one release, as facts."""

    hub: HubId
    part: int
    inventory: Inventory
    consent: Consent = Consent()
    delivery: Delivery = Delivery()
    arming: Arming = NOT_ARMED
    silence: Silence = Silence()

    @property
    def last_counter(self) -> int:
        """The highest originator counter this row has used."""
        return max(self.arming.counter, self.arming.cancel_counter, self.silence.read_counter)

    @property
    def silent(self) -> bool:
        """Something is awaited of the hub, and it was found silent: a delivery, an outcome, or, of a hub that has
        activated as far as is known, the version it runs."""
        if not self.silence.silent:
            return False
        return self.arming.in_force or self.delivery.under_way or self._unconfirmed_since(self.silence.since)

    def _unconfirmed_since(self, since: Instant | None) -> bool:
        told_at = self.arming.outcome_at
        activated = self.arming.outcome == 0 or self.arming.doubted
        return activated and since is not None and told_at is not None and since >= told_at


class Shown(NamedTuple):
    """What the facts amount to: what Parties and operators see, and when there is next something to do.

    `activate_at` is the planned time; None means as soon as capacity allows. `wave` is the name of the DCC's
    group, None where the hub is in none. `claim_at` is when the hub may next be distributed to or armed (if the
    decision lets it); `check_at` when time itself next becomes a fact.
    """

    state: HubState
    reason: str | None
    activate_at: Instant | None
    answer_by: Instant | None
    proposed_at: Instant | None
    pilot: bool
    wave: str | None
    claim_at: Instant | None
    check_at: Instant | None


class Row(NamedTuple):
    """A ledger row: its version, its facts, and what they amounted to when it was last written."""

    version: int
    facts: Facts
    shown: Shown | None


def heard(facts: Facts, at: Instant) -> Facts:
    """The hub has spoken: silence ends."""
    known = facts.silence.last_word_at
    if known is not None and known >= at:
        return facts
    return facts._replace(silence=facts.silence._replace(last_word_at=at))
