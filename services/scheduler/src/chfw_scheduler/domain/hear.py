"""What a row learns from the inventory, the hub and its edge."""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from chfw_common.kernel.catalogue import cs06_reason
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import FINAL_STATES, HubState
from chfw_scheduler.domain.facts import (
    NEEDS_IMAGE,
    OUTCOME_NOT_APPLIED,
    Arming,
    ArmResult,
    Facts,
    Inventory,
    heard,
)
from chfw_scheduler.domain.merge import Answer, latest


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Facts that contradict each other. `ref` makes a repeat of the same one recognisable."""

    kind: str
    ref: str


Learnt = tuple[Facts, Anomaly | None]
_FINAL_FOR_GOOD = FINAL_STATES - {HubState.SUPERSEDED, HubState.DEPARTED}


def inventory_says(facts: Facts, inventory: Inventory) -> Facts:
    """The SMI's record, when it is newer than the one known."""
    return facts if inventory.version <= facts.inventory.version else facts._replace(inventory=inventory)


def party_says(facts: Facts, answer: Answer) -> Learnt:
    """A Party's answer. One number with two contents is settled the same way everywhere, and noted."""
    answers, anomaly = _joined(facts.consent.answers, answer)
    if answers is facts.consent.answers:
        return facts, anomaly
    return facts._replace(consent=facts.consent._replace(answers=answers)), anomaly


@lru_cache(maxsize=8_192)
def _joined(known: tuple[Answer, ...], answer: Answer) -> tuple[tuple[Answer, ...], Anomaly | None]:
    """What a Party is known to have said, with one more answer. Kept, since the hubs of a request share it."""
    twin = next((a for a in known if a.party == answer.party and a.party_seq == answer.party_seq), None)
    if twin == answer:
        return known, None
    anomaly = None if twin is None else Anomaly("answer_twice", f"{answer.party}:{answer.party_seq}")
    answers = latest((*known, answer))
    return (known if answers == known else answers), anomaly


def is_news(facts: Facts, answer: Answer) -> bool:
    """Whether the answer is newer than the one that counts; a repeat of a merged one is no news."""
    known = [one.party_seq for one in facts.consent.answers if one.party == answer.party]
    return answer.party_seq > max(known, default=-1)


def takes_no_answer(facts: Facts, state: HubState) -> bool:
    """Whether an answer comes too late: a CS06 is in force or was carried out, or the hub is final.

    What is final only as long as the inventory says so takes answers: it may say otherwise again, and an accepted
    instruction counts then (I1).
    """
    return facts.arming.in_force or facts.arming.outcome == 0 or state in _FINAL_FOR_GOOD


_SAME_CLOCK = timedelta(0)
_MOST_REFUSALS = 1_000
"""Refusals of a cancel are counted no further: the pause between two has long stopped to grow."""


def delivered(facts: Facts, at: Instant, *, skew: timedelta = _SAME_CLOCK) -> Learnt:
    """The image is on the hub. Once the hub was found to hold none, or a broken one, only a report of a later hand-over
    counts.

    `at` is of another clock, which may be behind ours by `skew`; here as below.
    """
    delivery, arming = facts.delivery, facts.arming
    anomaly = Anomaly("delivered_unasked", "delivery") if delivery.epoch == 0 else None
    known = delivery.delivered_at
    lost = arming.outcome in NEEDS_IMAGE and (delivery.at is None or at + skew < delivery.at)
    if lost or (known is not None and known <= at):
        return heard(facts, at), anomaly
    return heard(facts._replace(delivery=delivery._replace(delivered_at=at, reason=None)), at), anomaly


def delivery_failed(facts: Facts, at: Instant, reason: str | None, *, skew: timedelta = _SAME_CLOCK) -> Learnt:
    """The transfer failed. A report that is older than the last hand-over by no more than `skew` is of that one."""
    delivery = facts.delivery
    if delivery.at is not None and at < delivery.at <= at + skew:
        at = delivery.at
    if delivery.delivered_at is not None or (delivery.failed_at is not None and delivery.failed_at >= at):
        return heard(facts, at), None
    return heard(facts._replace(delivery=delivery._replace(failed_at=at, reason=reason)), at), None


def distribution_refused(facts: Facts, at: Instant, epoch: int | None, reason: str | None) -> Learnt:
    """The edge did not forward the image: the hub goes back to where it was before the claim, and no try is counted.

    A repeat is known by its instant: one epoch may hand over again after a refusal.
    """
    delivery = facts.delivery
    if epoch != delivery.epoch or not delivery.under_way:
        return facts, None
    if delivery.refused_at is not None and at <= delivery.refused_at:
        return facts, None
    back = delivery._replace(at=None, tries=max(delivery.tries - 1, 0), refused_at=at, reason=reason)
    return facts._replace(delivery=back), None


def armed(facts: Facts, counter: int | None, at: Instant) -> Learnt:
    """The hub has stored the CS06 (commandAccepted). It knows better than an edge that refused a repeat of it."""
    arming = facts.arming
    if not _of(arming, counter):
        return heard(facts, at), _unknown(facts, counter, "armed")
    if arming.accepted_at is not None:
        return heard(facts, at), None
    taken = arming._replace(accepted_at=at)
    if arming.refused:
        taken = taken._replace(ended=None, ended_at=None, reason=None)
    return heard(facts._replace(arming=taken), at), None


def activation_refused(facts: Facts, counter: int | None, at: Instant, reason: str | None) -> Learnt:
    """The hub itself refused the CS06: a try that failed."""
    facts = heard(facts, at)
    arming = facts.arming
    if not _of(arming, counter) or not arming.in_force:
        return facts, _unknown(facts, counter, "refused")
    ended = arming._replace(ended=ArmResult.REFUSED, ended_at=at, reason=reason, tries=arming.tries + 1)
    return facts._replace(arming=ended), None


def command_refused(facts: Facts, counter: int | None, at: Instant, reason: str | None) -> Learnt:
    """An edge did not forward a CS06, a cancellation or a read. The hub has said nothing, and no try is counted.

    A hub that no read has reached is not unreachable: the read is tried again. A CS06 that is being called back stays
    in force until the hub has answered that.
    """
    arming, silence = facts.arming, facts.silence
    if counter is not None and counter == silence.read_counter:
        if silence.read_refused_at is not None or not facts.silent:
            return facts, None
        again = silence._replace(reads=max(silence.reads - 1, 0), read_refused_at=at, unreachable_at=None)
        return facts._replace(silence=again), None
    if counter is not None and counter == arming.cancel_counter:
        if arming.cancel_at is None or not arming.cancelling:
            return facts, None
        refusals = min(arming.cancel_refusals + 1, _MOST_REFUSALS)
        refused = arming._replace(cancel_at=None, cancel_refused_at=at, cancel_refusals=refusals)
        return facts._replace(arming=refused), None
    if not _of(arming, counter) or not arming.in_force or arming.cancelling or arming.accepted_at is not None:
        return facts, _unknown(facts, counter, "refused")
    return facts._replace(arming=arming._replace(ended=ArmResult.WITHHELD, ended_at=at, reason=reason)), None


def cancelled(facts: Facts, counter: int | None, at: Instant) -> Learnt:
    """The hub has given up the CS06 that the cancel with this counter called back: that is why it was not applied."""
    facts = heard(facts, at)
    arming = facts.arming
    if counter is None or counter != arming.cancel_counter:
        return facts, _unknown(facts, counter, "cancelled")
    if arming.ended is ArmResult.CANCELLED:
        return facts, None
    ended = arming._replace(ended=ArmResult.CANCELLED, ended_at=at)
    if arming.outcome == OUTCOME_NOT_APPLIED:
        ended = ended._replace(outcome=None, outcome_at=None, reason=None, tries=arming.tries - 1)
    anomaly = Anomaly("cancelled_and_carried_out", str(arming.counter)) if arming.reported else None
    return facts._replace(arming=ended), anomaly


def cancel_too_late(facts: Facts, counter: int | None, at: Instant) -> Learnt:
    """The hub had already activated when the cancel came."""
    facts = heard(facts, at)
    arming = facts.arming
    if counter is None or counter != arming.cancel_counter:
        return facts, _unknown(facts, counter, "too_late")
    if arming.too_late_at is not None:
        return facts, None
    return facts._replace(arming=arming._replace(too_late_at=at)), None


def contradicts(code: int, *, runs: str, ran: str, new: str) -> bool:
    """Whether an outcome and the version that the hub runs with it do not go together.

    After a success it is the new version, after a failure (also of another command) the one that it `ran` before.
    """
    return runs != (new if code == 0 else ran)


def outcome(facts: Facts, counter: int | None, code: int, at: Instant, *, doubted: bool = False) -> Learnt:
    """The outcome of a CS06, as the SMI passed it on from the alert. It replaces one that a read had led us to.

    `doubted`: the hub said in the same breath that it runs a version that does not go with it. Neither counts before a
    read has settled it.
    """
    facts = heard(facts, at)
    arming = facts.arming
    doubt = Anomaly("outcome_contradicts_version", f"{counter}:{code}") if doubted else None
    if not _of(arming, counter):
        return facts, doubt or _unknown(facts, counter, "outcome")
    if arming.reported:
        return facts, None
    inferred = arming.outcome is not None
    known = arming._replace(
        outcome=code,
        outcome_at=at,
        reason=None if code == 0 else cs06_reason(code),
        tries=arming.tries - inferred + (code != 0),
        doubted_at=at if doubted else None,
    )
    anomaly = doubt
    if anomaly is None and arming.ended is ArmResult.CANCELLED:
        anomaly = Anomaly("cancelled_and_carried_out", str(counter))
    delivery = facts.delivery
    if code in NEEDS_IMAGE and (delivery.delivered_at is None or delivery.delivered_at <= at):
        delivery = delivery._replace(delivered_at=None, at=None)
    return facts._replace(arming=known, delivery=delivery, silence=facts.silence.over()), anomaly


def version_read(facts: Facts, counter: int | None, at: Instant, *, new_firmware: bool) -> Learnt:
    """The hub was read. The new version stands in for the alert that never came, whatever was asked and expected.

    The old version settles what a silent hub was asked about: the delivery, or the CS06, came to nothing. An unasked
    read proves no more than that the hub speaks.
    """
    since = facts.silence.since
    asked = since is not None and (at >= since or (counter is not None and counter == facts.silence.read_counter))
    facts = heard(facts, max(at, since) if asked and since is not None else at)
    arming, delivery = facts.arming, facts.delivery
    if new_firmware:
        if arming.outcome == 0 and not arming.doubted:
            return facts, None
        settled = arming._replace(outcome=0, outcome_at=at, reason="read", doubted_at=None)
        return facts._replace(arming=settled), None
    if arming.outcome == 0 or arming.doubted:
        return _old_after_all(facts, at, asked=asked), None
    if not asked:
        return facts, None
    if delivery.under_way and delivery.at is not None:
        failed = delivery._replace(failed_at=max(at, delivery.at), reason="timed_out")
        return facts._replace(delivery=failed), None
    if not arming.in_force:
        return facts, None
    known = arming._replace(outcome=OUTCOME_NOT_APPLIED, outcome_at=at, reason="not_applied", tries=arming.tries + 1)
    return facts._replace(arming=known), None


def _old_after_all(facts: Facts, at: Instant, *, asked: bool) -> Facts:
    """A read found the old version on a hub that is said to have activated, or contradicted itself. It counts if it is
    younger than what the hub said, or was asked for because of that."""
    arming, since = facts.arming, facts.silence.since
    told_at = arming.outcome_at
    because = asked and since is not None and told_at is not None and since >= told_at
    if told_at is None or not (at > told_at or because):
        return facts
    if arming.outcome != 0:
        return facts._replace(arming=arming._replace(doubted_at=None))
    not_applied = arming._replace(
        outcome=OUTCOME_NOT_APPLIED, outcome_at=at, reason="not_applied", tries=arming.tries + 1, doubted_at=None
    )
    return facts._replace(arming=not_applied)


def _of(arming: Arming, counter: int | None) -> bool:
    return counter is not None and counter == arming.counter


def _unknown(facts: Facts, counter: int | None, what: str) -> Anomaly | None:
    """An answer to a counter this row never used is an anomaly; to an older one it is merely late."""
    if counter is not None and counter <= facts.last_counter:
        return None
    return Anomaly(f"{what}_unknown_counter", str(counter))
