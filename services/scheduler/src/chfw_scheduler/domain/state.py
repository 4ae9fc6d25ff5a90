"""The state of a hub: a pure, total function of its facts (ARCHITECTURE section 5), and when to look at it again."""

from dataclasses import dataclass
from datetime import timedelta

from chfw_common.kernel.hubs import DeviceStatus
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import ENDS, FINAL_STATES, HubState
from chfw_scheduler.domain.facts import ArmResult, Facts, Shown
from chfw_scheduler.domain.merge import Basis, Plan, plan
from chfw_scheduler.domain.rollout import Rollout

_GONE = frozenset({DeviceStatus.DECOMMISSIONED, DeviceStatus.WITHDRAWN})
_JUST_AFTER = timedelta(microseconds=1)
OUTCOME_NO_IMAGE = 1
OUTCOME_NOT_APPLIED = -1
"""No alert came and the old version runs: stands where an activateImageResponseCode would."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A state with the reason a person would ask for."""

    state: HubState
    reason: str | None = None


def consented(facts: Facts, rollout: Rollout) -> Plan:
    """The consent table applied to the row (see merge.py)."""
    return plan(
        facts.consent.answers,
        facts.inventory.responsible,
        terms=rollout.terms,
        answer_closed=facts.consent.answer_closed,
    )


def may_go(facts: Facts, rollout: Rollout, agreed: Plan) -> bool:
    """Whether distribution may start: consent is complete, or the lead of D has begun."""
    due = facts.consent.automatic_due
    return agreed.complete or (due is not None and due >= rollout.terms.automatic_date)


def standing(facts: Facts, rollout: Rollout, agreed: Plan) -> Standing:
    """Where the hub stands: the first of these that applies."""
    for look in (_by_inventory, _by_arming, _by_silence):
        found = look(facts, rollout)
        if found is not None:
            return found
    return _by_delivery(facts, rollout, agreed)


def _by_inventory(facts: Facts, rollout: Rollout) -> Standing | None:
    image, inventory = rollout.image, facts.inventory
    if inventory.firmware == image.firmware:
        return Standing(HubState.CONFIRMED)
    if inventory.status in _GONE:
        return Standing(HubState.DEPARTED, inventory.status.value)
    if image.predecessors and inventory.firmware not in image.predecessors:
        return Standing(HubState.SUPERSEDED, inventory.firmware)
    return None


def _by_arming(facts: Facts, rollout: Rollout) -> Standing | None:
    arming = facts.arming
    if arming.ended is ArmResult.CANCELLED and arming.cancel_for in ENDS:
        return Standing(HubState.CANCELLED, arming.cancel_for)
    if arming.outcome is not None:
        return _after_outcome(facts, rollout)
    if not arming.in_force or facts.silence.silent:
        return None
    if arming.too_late_at is not None:
        return Standing(HubState.ACTIVATED, "cancel_too_late")
    if arming.cancelling:
        return Standing(HubState.CANCELLING, arming.cancel_for)
    return Standing(HubState.ARMING if arming.accepted_at is None else HubState.ARMED)


def _after_outcome(facts: Facts, rollout: Rollout) -> Standing | None:
    arming = facts.arming
    if arming.outcome == 0:
        return Standing(HubState.ACTIVATED)
    if arming.tries >= rollout.pacing.retries:
        return Standing(HubState.FAILED_FINAL, arming.reason)
    if arming.outcome == OUTCOME_NO_IMAGE and facts.delivery.delivered_at is None:
        return None
    silent = arming.outcome == OUTCOME_NOT_APPLIED
    return Standing(HubState.NOT_APPLIED if silent else HubState.ACTIVATION_FAILED, arming.reason)


def _by_silence(facts: Facts, rollout: Rollout) -> Standing | None:  # noqa: ARG001 - one shape for all looks
    if not facts.silence.silent:
        return None
    return Standing(HubState.UNREACHABLE if facts.silence.unreachable_at is not None else HubState.SILENT)


def _by_delivery(facts: Facts, rollout: Rollout, agreed: Plan) -> Standing:
    delivery = facts.delivery
    if delivery.failed and delivery.tries >= rollout.pacing.retries and delivery.delivered_at is None:
        return Standing(HubState.FAILED_FINAL, delivery.reason)
    if not may_go(facts, rollout, agreed):
        waits = agreed.basis is Basis.WAITING or delivery.at is not None
        return Standing(HubState.AWAITING_CONSENT if waits else HubState.ELIGIBLE)
    if delivery.delivered_at is not None:
        return Standing(HubState.DELIVERED, facts.arming.reason)
    if delivery.failed:
        return Standing(HubState.DELIVERY_FAILED, delivery.reason)
    return Standing(HubState.DISTRIBUTING if delivery.under_way else HubState.SCHEDULED)


def show(facts: Facts, rollout: Rollout, now: Instant) -> Shown:
    """All that follows from the facts. `now` only keeps what is due at once from lying in the past."""
    agreed = consented(facts, rollout)
    found = standing(facts, rollout, agreed)
    fixed = facts.arming.in_force or facts.arming.outcome == 0 or found.state in FINAL_STATES
    return Shown(
        state=found.state,
        reason=found.reason,
        activate_at=facts.arming.planned_for if fixed and facts.arming.at is not None else agreed.activate_at,
        answer_by=agreed.answer_by,
        proposed_at=agreed.proposed_at,
        pilot=agreed.pilot,
        claim_at=claim_at(facts, rollout, found.state, agreed, now),
        check_at=check_at(facts, rollout, found.state, agreed, now),
    )


def claim_at(facts: Facts, rollout: Rollout, state: HubState, agreed: Plan, now: Instant) -> Instant | None:
    """When the hub may next be handed the image or armed; None when there is nothing to hand or arm."""
    pacing = rollout.pacing
    if state is HubState.SCHEDULED:
        refused_at = facts.delivery.refused_at
        return now if refused_at is None else max(now, refused_at + pacing.asap_lead)
    if state is HubState.DELIVERY_FAILED and facts.delivery.failed_at is not None:
        return facts.delivery.failed_at + pacing.retry_after * (1 << max(facts.delivery.tries - 1, 0))
    if state is HubState.DELIVERED:
        target = agreed.activate_at
        ready = now if target is None else max(target - pacing.arming_window, now)
        refused_at = facts.arming.ended_at if facts.arming.ended is ArmResult.REFUSED else None
        return ready if refused_at is None else max(ready, refused_at + pacing.asap_lead)
    if state in {HubState.ACTIVATION_FAILED, HubState.NOT_APPLIED} and facts.arming.outcome_at is not None:
        return facts.arming.outcome_at + pacing.retry_after * (1 << max(facts.arming.tries - 1, 0))
    return None


def check_at(facts: Facts, rollout: Rollout, state: HubState, agreed: Plan, now: Instant) -> Instant | None:
    """When time next becomes a fact of this row; None when it does not."""
    pacing, silence = rollout.pacing, facts.silence
    if state in {HubState.ELIGIBLE, HubState.AWAITING_CONSENT}:
        opens = rollout.terms.automatic_date - pacing.automatic_lead
        return opens if agreed.answer_by is None else min(opens, agreed.answer_by + _JUST_AFTER)
    if state is HubState.DISTRIBUTING and facts.delivery.at is not None:
        return facts.delivery.at + pacing.delivery_timeout
    if state in {HubState.ARMING, HubState.ARMED, HubState.CANCELLING} and facts.arming.fires_at is not None:
        return facts.arming.fires_at + pacing.silent_after
    if state is HubState.ACTIVATED and facts.arming.too_late_at is not None:
        return facts.arming.too_late_at + pacing.silent_after
    if state is HubState.SILENT:
        return now if silence.read_at is None else silence.read_at + pacing.silent_after
    return None
