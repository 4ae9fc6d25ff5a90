"""The state of a hub: a pure, total function of its facts (ARCHITECTURE section 5), and when to look at it again."""

from datetime import timedelta
from functools import lru_cache
from typing import NamedTuple

from chfw_common.kernel.applicability import Inapplicable
from chfw_common.kernel.hubs import DeviceStatus, Responsibility
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import ENDS, FINAL_STATES, HubState
from chfw_scheduler.domain.facts import NEEDS_IMAGE, NOT_ARMED, OUTCOME_NOT_APPLIED, Arming, ArmResult, Facts, Shown
from chfw_scheduler.domain.merge import Answer, Basis, Plan, Terms, plan
from chfw_scheduler.domain.rollout import Fit, Pacing, Rollout

_GONE = frozenset({DeviceStatus.DECOMMISSIONED, DeviceStatus.WITHDRAWN})
_UNDER_COMMAND = frozenset({HubState.ARMING, HubState.ARMED, HubState.CANCELLING})
_FAILED = frozenset({HubState.ACTIVATION_FAILED, HubState.NOT_APPLIED})
_WAITING = frozenset(
    {HubState.ELIGIBLE, HubState.AWAITING_CONSENT, HubState.SCHEDULED, HubState.DELIVERED, HubState.DELIVERY_FAILED}
)
_MOST_DOUBLINGS = 6
"""A pause that doubles ends at 64 times the first."""
_JUST_AFTER = timedelta(microseconds=1)
CONTRADICTED = "contradicted"
"""The outcome that the hub told and the version that it says it runs do not go together."""


class Standing(NamedTuple):
    """A state with the reason a person would ask for."""

    state: HubState
    reason: str | None = None


def consented(facts: Facts, rollout: Rollout) -> Plan:
    """The consent table applied to the row (see merge.py)."""
    inventory, consent = facts.inventory, facts.consent
    terms = rollout.terms_of(facts.hub, inventory.region) if rollout.waves else rollout.terms
    return _plan(consent.answers, inventory.responsible, terms, consent.answer_closed)


@lru_cache(maxsize=8_192)
def _plan(
    answers: tuple[Answer, ...], responsible: tuple[Responsibility, ...], terms: Terms, answer_closed: Instant | None
) -> Plan:
    """Kept: a visit of a row asks several times, and the hubs of two requests that meet ask all the same."""
    return plan(answers, responsible, terms=terms, answer_closed=answer_closed)


def may_go(facts: Facts, agreed: Plan) -> bool:
    """Whether distribution may start: consent is complete, or the lead of D has begun."""
    due = facts.consent.automatic_due
    return agreed.complete or (due is not None and due >= agreed.terms.automatic_date)


def standing(facts: Facts, rollout: Rollout, agreed: Plan) -> Standing:
    """Where the hub stands: the first of these that applies.

    A hub that the image does not fit at present is `unfit`, unless it is final or a CS06 is in force or carried out:
    then it stands where that has brought it, and is called back.
    """
    fit = rollout.fit(facts.inventory)
    found = (
        _by_inventory(facts, fit)
        or _by_arming(facts, rollout, fit)
        or _by_silence(facts)
        or _by_delivery(facts, rollout, agreed)
    )
    if fit.misfit is None or found.state in FINAL_STATES or facts.arming.binds:
        return found
    return Standing(HubState.UNFIT, _why(facts, fit.misfit))


def _why(facts: Facts, misfit: Inapplicable) -> str:
    return misfit.value if facts.inventory.version > 0 else "unknown_hub"


def _by_inventory(facts: Facts, fit: Fit) -> Standing | None:
    inventory, arming = facts.inventory, facts.arming
    if fit.runs_new and (not arming.doubted or arming.outcome == 0):
        return Standing(HubState.CONFIRMED)
    if inventory.status in _GONE:
        return Standing(HubState.DEPARTED, inventory.status.value)
    if fit.misfit is Inapplicable.NOT_UPGRADEABLE and not arming.doubted:
        return Standing(HubState.SUPERSEDED, inventory.firmware)
    return None


def _by_arming(facts: Facts, rollout: Rollout, fit: Fit) -> Standing | None:
    arming = facts.arming
    if arming is NOT_ARMED:
        return None  # Most visits of a row are before its first CS06.
    if arming.doubted:
        return None if facts.silent else Standing(HubState.ACTIVATED, CONTRADICTED)
    if arming.outcome is not None:
        return _after_outcome(facts, rollout)
    if arming.ended is ArmResult.CANCELLED and arming.cancel_for in ENDS:
        return Standing(HubState.CANCELLED, arming.cancel_for)
    if arming.ended is ArmResult.REFUSED and arming.tries >= rollout.pacing.retries:
        return Standing(HubState.FAILED_FINAL, arming.reason)
    if not arming.in_force or facts.silent:
        return None
    if arming.too_late_at is not None:
        return Standing(HubState.ACTIVATED, "cancel_too_late")
    if arming.cancelling:
        why = arming.cancel_for if fit.misfit is None else _why(facts, fit.misfit)
        return Standing(HubState.CANCELLING, why)
    return Standing(HubState.ARMING if arming.accepted_at is None else HubState.ARMED)


def _after_outcome(facts: Facts, rollout: Rollout) -> Standing | None:
    arming = facts.arming
    if arming.outcome == 0:
        return None if facts.silent else Standing(HubState.ACTIVATED)
    if arming.tries >= rollout.pacing.retries:
        return Standing(HubState.FAILED_FINAL, arming.reason)
    if arming.outcome in NEEDS_IMAGE and facts.delivery.delivered_at is None:
        return None
    unheard = arming.outcome == OUTCOME_NOT_APPLIED
    return Standing(HubState.NOT_APPLIED if unheard else HubState.ACTIVATION_FAILED, arming.reason)


def _by_silence(facts: Facts) -> Standing | None:
    if facts.silence.since is None or not facts.silent:
        return None
    return Standing(HubState.UNREACHABLE if facts.silence.unreachable_at is not None else HubState.SILENT)


def _by_delivery(facts: Facts, rollout: Rollout, agreed: Plan) -> Standing:
    delivery = facts.delivery
    if delivery.failed and delivery.tries >= rollout.pacing.retries and delivery.delivered_at is None:
        return Standing(HubState.FAILED_FINAL, delivery.reason)
    if not may_go(facts, agreed):
        return Standing(HubState.AWAITING_CONSENT if _has_begun(facts, agreed) else HubState.ELIGIBLE)
    if delivery.delivered_at is not None:
        return Standing(HubState.DELIVERED, facts.arming.reason)
    if delivery.failed:
        return Standing(HubState.DELIVERY_FAILED, delivery.reason)
    return Standing(HubState.DISTRIBUTING if delivery.under_way else HubState.SCHEDULED)


def _has_begun(facts: Facts, agreed: Plan) -> bool:
    """An instruction that counts waits for another, or the image is on its way or there.

    What does not count (any more), as a withdrawal that meets nothing, is not seen: it would tell the other Party that
    somebody has said something.
    """
    delivery = facts.delivery
    return agreed.basis is Basis.WAITING or delivery.at is not None or delivery.delivered_at is not None


def show(facts: Facts, rollout: Rollout, agreed: Plan | None = None) -> Shown:
    """All that follows from the facts; whoever has applied the consent table already hands its outcome in."""
    agreed = consented(facts, rollout) if agreed is None else agreed
    found = standing(facts, rollout, agreed)
    arming = facts.arming
    fixed = arming.at is not None and (arming.in_force or arming.outcome == 0 or found.state in FINAL_STATES)
    return Shown(
        found.state,
        found.reason,
        arming.planned_for if fixed else agreed.activate_at,
        agreed.answer_by,
        agreed.proposed_at,
        agreed.pilot,
        agreed.terms.wave,
        claim_at(facts, rollout, found.state, agreed),
        check_at(facts, rollout, found.state, agreed),
    )


def claim_at(facts: Facts, rollout: Rollout, state: HubState, agreed: Plan) -> Instant | None:
    """Since when, or from when on, the hub may be handed the image or armed.

    None: there is nothing to hand or arm, or it is overdue and waits for a new D. Nothing begins while something is
    withheld from the Parties: they would see it begin.
    """
    if rollout.overdue(agreed.terms.automatic_date):
        return None
    ready, withheld = _ready_at(facts, rollout, state, agreed), facts.consent.withheld
    return ready if ready is None or withheld is None else max(ready, withheld.until)


def _ready_at(facts: Facts, rollout: Rollout, state: HubState, agreed: Plan) -> Instant | None:
    pacing, delivery, arming = rollout.pacing, facts.delivery, facts.arming
    if state is HubState.SCHEDULED:
        opened = _opened(rollout, agreed)
        return opened if delivery.refused_at is None else max(opened, delivery.refused_at + pacing.refused_retry)
    if state is HubState.DELIVERY_FAILED and delivery.failed_at is not None:
        return delivery.failed_at + _backoff(pacing, delivery.tries)
    if state is HubState.DELIVERED and delivery.delivered_at is not None:
        ready = max(delivery.delivered_at, _armable(rollout, agreed))
        if not arming.refused or arming.ended_at is None:
            return ready
        by_edge = arming.ended is ArmResult.WITHHELD
        return max(ready, arming.ended_at + (pacing.refused_retry if by_edge else pacing.asap_lead))
    if state in _FAILED and arming.outcome_at is not None and may_go(facts, agreed):
        return max(arming.outcome_at + _backoff(pacing, arming.tries), _armable(rollout, agreed))
    return None


def _opened(rollout: Rollout, agreed: Plan) -> Instant:
    """Since when the image may be handed over: consent was complete with its last answer, or the lead of D began."""
    received = [answer.received_at for answer in agreed.counting]
    if agreed.complete and received:
        return max(received)
    return agreed.terms.automatic_date - rollout.pacing.automatic_lead


def _armable(rollout: Rollout, agreed: Plan) -> Instant:
    """From when on consent lets the hub be armed: late, and never while the second Party is still waited for."""
    waited = _opened(rollout, agreed) if agreed.answer_by is None else agreed.answer_by + _JUST_AFTER
    planned = agreed.opens if agreed.activate_at is None else agreed.activate_at
    return waited if planned is None else max(waited, planned - rollout.pacing.arming_window)


def _backoff(pacing: Pacing, tries: int) -> timedelta:
    return pacing.retry_after * (1 << max(tries - 1, 0))


def check_at(facts: Facts, rollout: Rollout, state: HubState, agreed: Plan) -> Instant | None:
    """When time next becomes a fact of this row, a refused cancellation is due again, or what was withheld from the
    Parties is told; None when none of them."""
    due = _fact_at(facts, rollout, state, agreed)
    again_at = None if state is HubState.CONFIRMED else cancel_again_at(facts.arming, rollout.pacing)
    if again_at is not None and (due is None or again_at < due):
        due = again_at
    withheld = facts.consent.withheld
    return due if withheld is None or (due is not None and due < withheld.until) else withheld.until


def cancel_again_at(arming: Arming, pacing: Pacing) -> Instant | None:
    """When a cancellation that an edge refused is sent again; None when there is none. The pause doubles."""
    if arming.cancel_refused_at is None or not arming.cancel_refused:
        return None
    return arming.cancel_refused_at + pacing.cancel_retry * (1 << min(arming.cancel_refusals - 1, _MOST_DOUBLINGS))


def _fact_at(facts: Facts, rollout: Rollout, state: HubState, agreed: Plan) -> Instant | None:
    pacing, arming, silence = rollout.pacing, facts.arming, facts.silence
    if state in _WAITING or state in _FAILED:
        return _wait_ends(facts, rollout, agreed)
    if state is HubState.DISTRIBUTING and facts.delivery.at is not None:
        return _if_unheard(facts, pacing, facts.delivery.at + pacing.delivery_timeout)
    if state in _UNDER_COMMAND and arming.fires_at is not None:
        return _if_unheard(facts, pacing, arming.fires_at + pacing.silent_after)
    if state is HubState.ACTIVATED:
        return _unconfirmed(facts, pacing)
    if state is HubState.SILENT:
        if silence.read_refused_at is not None:
            return silence.read_refused_at + pacing.refused_retry
        return silence.since if silence.read_at is None else silence.read_at + pacing.silent_after
    return None


def _wait_ends(facts: Facts, rollout: Rollout, agreed: Plan) -> Instant | None:
    """When the wait for the second Party ends, or the lead of D begins. A release that has ended waits for nothing."""
    if rollout.ended:
        return None
    wait = None if agreed.answer_by is None else agreed.answer_by + _JUST_AFTER
    if may_go(facts, agreed):
        return wait
    lead = agreed.terms.automatic_date - rollout.pacing.automatic_lead
    return lead if wait is None else min(lead, wait)


def _unconfirmed(facts: Facts, pacing: Pacing) -> Instant | None:
    """When a hub that has activated, as far as is known, is read: at once if it contradicts itself."""
    arming = facts.arming
    if arming.doubted_at is not None:
        return _if_unheard(facts, pacing, arming.doubted_at)
    since = arming.too_late_at if arming.outcome is None else arming.outcome_at
    return None if since is None else _if_unheard(facts, pacing, since + pacing.confirm_timeout)


def _if_unheard(facts: Facts, pacing: Pacing, due: Instant) -> Instant:
    """A hub that was silent and spoke without settling anything is given time again."""
    silence = facts.silence
    if silence.since is None or silence.last_word_at is None:
        return due
    return max(due, silence.last_word_at + pacing.silent_after)
