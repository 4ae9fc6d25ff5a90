"""What to do with a hub that is due: hand over the image, arm it, call it back, note that time has passed."""

from dataclasses import dataclass, replace

from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import HubState, Mode
from chfw_scheduler.domain.facts import Facts, Silence
from chfw_scheduler.domain.rollout import Rollout
from chfw_scheduler.domain.state import consented


@dataclass(frozen=True, slots=True)
class Distribute:
    """Hand the image to the CSP for this hub."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Send CS06 for a time that is never in the past and never before the planned one."""

    counter: int
    activate_at: Instant


@dataclass(frozen=True, slots=True)
class Cancel:
    """Call back the CS06 with this counter."""

    counter: int
    cancels: int


@dataclass(frozen=True, slots=True)
class Read:
    """Read the firmware version (SR 11.2)."""

    counter: int


Action = Distribute | Arm | Cancel | Read


def next_counter(facts: Facts, now: Instant) -> int:
    """A GBCS originator counter: milliseconds of the epoch, and always above the last one of this hub."""
    return max(facts.last_counter + 1, int(now.timestamp() * 1000))


def claim(facts: Facts, state: HubState, rollout: Rollout, now: Instant) -> tuple[Facts, Action | None]:
    """Claim a hub whose `claim_at` has come, under the epoch of the decision in force (I6)."""
    if state in {HubState.SCHEDULED, HubState.DELIVERY_FAILED}:
        return _distribute(facts, rollout, now)
    if state in {HubState.DELIVERED, HubState.ACTIVATION_FAILED, HubState.NOT_APPLIED}:
        return _arm(facts, rollout, now)
    return facts, None


def _distribute(facts: Facts, rollout: Rollout, now: Instant) -> tuple[Facts, Action]:
    delivery = replace(facts.delivery, epoch=rollout.decision.epoch, at=now, tries=facts.delivery.tries + 1)
    return replace(facts, delivery=delivery), Distribute()


def _arm(facts: Facts, rollout: Rollout, now: Instant) -> tuple[Facts, Action]:
    planned = consented(facts, rollout).activate_at
    earliest = now + rollout.pacing.asap_lead
    activate_at = earliest if planned is None else max(planned, earliest)
    counter = next_counter(facts, now)
    arming = replace(
        facts.arming,
        epoch=rollout.decision.epoch,
        counter=counter,
        at=now,
        planned_for=activate_at if planned is None else planned,
        fires_at=activate_at,
        accepted_at=None,
        ended=None,
        ended_at=None,
        reason=None,
        cancel_counter=0,
        cancel_at=None,
        cancel_for=None,
        too_late_at=None,
        outcome=None,
        outcome_at=None,
    )
    return replace(facts, arming=arming), Arm(counter, activate_at)


def cancel(facts: Facts, mode: Mode, now: Instant) -> tuple[Facts, Action | None]:
    """Call back a CS06 that is in force and not called back yet."""
    arming = facts.arming
    if not arming.in_force or arming.cancel_counter > arming.counter:
        return facts, None
    counter = next_counter(facts, now)
    called_back = replace(arming, cancel_counter=counter, cancel_at=now, cancel_for=mode)
    return replace(facts, arming=called_back), Cancel(counter, arming.counter)


def pass_time(facts: Facts, state: HubState, rollout: Rollout, now: Instant) -> tuple[Facts, Action | None]:
    """Write down that time has passed for a row whose `check_at` has come."""
    if state in {HubState.ELIGIBLE, HubState.AWAITING_CONSENT}:
        return _close_waits(facts, rollout, now), None
    if state in {HubState.DISTRIBUTING, HubState.ARMING, HubState.ARMED, HubState.CANCELLING, HubState.ACTIVATED}:
        return _read(replace(facts, silence=replace(facts.silence, since=now, reads=0)), now)
    if state is HubState.SILENT:
        if facts.silence.reads < rollout.pacing.read_attempts:
            return _read(facts, now)
        return replace(facts, silence=replace(facts.silence, unreachable_at=now)), None
    return facts, None


def _close_waits(facts: Facts, rollout: Rollout, now: Instant) -> Facts:
    consent, terms = facts.consent, rollout.terms
    answer_by = consented(facts, rollout).answer_by
    if answer_by is not None and now > answer_by:
        known = consent.answer_closed
        consent = replace(consent, answer_closed=answer_by if known is None else max(known, answer_by))
    if now >= terms.automatic_date - rollout.pacing.automatic_lead:
        due = consent.automatic_due
        consent = replace(
            consent, automatic_due=terms.automatic_date if due is None else max(due, terms.automatic_date)
        )
    return replace(facts, consent=consent)


def _read(facts: Facts, now: Instant) -> tuple[Facts, Action]:
    silence: Silence = facts.silence
    asked = replace(silence, reads=silence.reads + 1, read_at=now, unreachable_at=None)
    return replace(facts, silence=asked), Read(next_counter(facts, now))
