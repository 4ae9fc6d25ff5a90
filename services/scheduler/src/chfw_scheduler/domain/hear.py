"""What a row learns from the inventory, the hub and its edge."""

from dataclasses import dataclass, replace

from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import HubState
from chfw_scheduler.domain.facts import Arming, ArmResult, Facts, Inventory, heard
from chfw_scheduler.domain.merge import Answer, latest
from chfw_scheduler.domain.state import OUTCOME_NO_IMAGE, OUTCOME_NOT_APPLIED

ARMED_OR_LATER = frozenset({HubState.ARMING, HubState.ARMED, HubState.CANCELLING, HubState.ACTIVATED})


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Facts that contradict each other. `ref` makes a repeat of the same one recognisable."""

    kind: str
    ref: str


Learnt = tuple[Facts, Anomaly | None]


def inventory_says(facts: Facts, inventory: Inventory) -> Facts:
    """The SMI's record, when it is newer than the one known."""
    return facts if inventory.version <= facts.inventory.version else replace(facts, inventory=inventory)


def party_says(facts: Facts, answer: Answer) -> Learnt:
    """A Party's answer. One number with two contents is settled the same way everywhere, and noted."""
    twin = next((a for a in facts.consent.answers if a.party == answer.party and a.party_seq == answer.party_seq), None)
    if twin == answer:
        return facts, None
    answers = latest((*facts.consent.answers, answer))
    anomaly = None if twin is None else Anomaly("answer_twice", f"{answer.party}:{answer.party_seq}")
    return replace(facts, consent=replace(facts.consent, answers=answers)), anomaly


def delivered(facts: Facts, at: Instant) -> Learnt:
    """The image is on the hub."""
    anomaly = Anomaly("delivered_unasked", "delivery") if facts.delivery.at is None else None
    known = facts.delivery.delivered_at
    delivery = replace(facts.delivery, delivered_at=at if known is None else min(known, at), reason=None)
    return heard(replace(facts, delivery=delivery), at), anomaly


def delivery_failed(facts: Facts, at: Instant, reason: str | None) -> Learnt:
    """The transfer failed, or the edge refused the hand-over; a refusal does not count as a try."""
    if facts.delivery.delivered_at is not None:
        return facts, None
    known = facts.delivery.failed_at
    if known is not None and known >= at:
        return facts, None
    return heard(replace(facts, delivery=replace(facts.delivery, failed_at=at, reason=reason)), at), None


def distribution_refused(facts: Facts, at: Instant, epoch: int | None, reason: str | None) -> Learnt:
    """The edge did not forward the image: the hub goes back to where it was before the claim."""
    delivery = facts.delivery
    if epoch != delivery.epoch or not delivery.under_way:
        return facts, None
    back = replace(delivery, at=None, tries=max(delivery.tries - 1, 0), refused_at=at, reason=reason)
    return replace(facts, delivery=back), None


def _of(arming: Arming, counter: int | None) -> bool:
    return counter is not None and counter == arming.counter


def armed(facts: Facts, counter: int | None, at: Instant) -> Learnt:
    """The hub has stored the CS06 (commandAccepted)."""
    if not _of(facts.arming, counter):
        return heard(facts, at), _unknown(facts, counter, "armed")
    if facts.arming.accepted_at is not None:
        return facts, None
    return heard(replace(facts, arming=replace(facts.arming, accepted_at=at)), at), None


def arming_refused(facts: Facts, counter: int | None, at: Instant, reason: str | None) -> Learnt:
    """The edge or the hub refused the CS06, or its cancellation by the edge."""
    arming = facts.arming
    if counter is not None and counter == arming.cancel_counter:
        again = replace(arming, cancel_counter=0, cancel_at=None, reason=reason)
        return replace(facts, arming=again), None
    if not _of(arming, counter) or not arming.in_force:
        return facts, _unknown(facts, counter, "refused")
    ended = replace(arming, ended=ArmResult.REFUSED, ended_at=at, reason=reason)
    return replace(facts, arming=ended), None


def cancelled(facts: Facts, counter: int | None, at: Instant) -> Learnt:
    """The hub has given up the CS06 that the cancel with this counter called back."""
    arming = facts.arming
    if counter is None or counter != arming.cancel_counter:
        return heard(facts, at), _unknown(facts, counter, "cancelled")
    if arming.outcome is not None:
        return facts, Anomaly("cancelled_after_outcome", str(counter))
    ended = replace(arming, ended=ArmResult.CANCELLED, ended_at=at)
    return heard(replace(facts, arming=ended), at), None


def cancel_too_late(facts: Facts, counter: int | None, at: Instant) -> Learnt:
    """The hub had already activated when the cancel came."""
    if counter is None or counter != facts.arming.cancel_counter:
        return heard(facts, at), _unknown(facts, counter, "too_late")
    return heard(replace(facts, arming=replace(facts.arming, too_late_at=at)), at), None


def outcome(facts: Facts, counter: int | None, code: int, at: Instant) -> Learnt:
    """The outcome of a CS06, as the SMI passed it on from the alert."""
    arming = facts.arming
    if not _of(arming, counter):
        return heard(facts, at), _unknown(facts, counter, "outcome")
    if arming.outcome is not None:
        return facts, None
    known = replace(arming, outcome=code, outcome_at=at, reason=None, tries=arming.tries + (code != 0))
    if code != 0:
        known = replace(known, reason=f"cs06_{code}")
    delivery = replace(facts.delivery, delivered_at=None, at=None) if code == OUTCOME_NO_IMAGE else facts.delivery
    return heard(replace(facts, arming=known, delivery=delivery), at), None


def version_read(facts: Facts, at: Instant, *, new_firmware: bool) -> Learnt:
    """The hub was read: it stands in for the alert, or the delivery report, that never came."""
    arming = facts.arming
    facts = heard(facts, at)
    if facts.delivery.under_way and not new_firmware:
        return replace(facts, delivery=replace(facts.delivery, failed_at=at, reason="timed_out")), None
    fired = arming.fires_at is not None and arming.fires_at <= at
    if not arming.in_force or not (new_firmware or fired):
        return facts, None
    if new_firmware:
        return replace(facts, arming=replace(arming, outcome=0, outcome_at=at, reason="read")), None
    failed = replace(arming, outcome=OUTCOME_NOT_APPLIED, outcome_at=at, reason="not_applied", tries=arming.tries + 1)
    return replace(facts, arming=failed), None


def _unknown(facts: Facts, counter: int | None, what: str) -> Anomaly | None:
    """An answer to a counter this row never used is an anomaly; to an older one it is merely late."""
    if counter is not None and counter <= facts.last_counter:
        return None
    return Anomaly(f"{what}_unknown_counter", str(counter))
