"""What to do with a hub that is due: hand over the image, arm it, call it back, note that time has passed."""

from dataclasses import dataclass, replace

from chfw_common.kernel.applicability import Inapplicable
from chfw_common.kernel.coarse import quarter_of
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import ENDS, HubState
from chfw_scheduler.domain.facts import Arming, Facts, Shown
from chfw_scheduler.domain.rollout import Rollout
from chfw_scheduler.domain.state import cancel_again_at, consented


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

_EXPECTED_TO_SPEAK = frozenset(
    {HubState.DISTRIBUTING, HubState.ARMING, HubState.ARMED, HubState.CANCELLING, HubState.ACTIVATED}
)


def next_counter(facts: Facts, now: Instant) -> int:
    """A GBCS originator counter above the last one of this row. Other releases command the hub as well, so `numbered`
    puts the one that is given under the lock of all releases in its place."""
    return max(facts.last_counter + 1, milliseconds(now))


def milliseconds(now: Instant) -> int:
    """Milliseconds of the epoch: counters are at least these."""
    return int(now.timestamp() * 1000)


def needs_counter(action: Action | None) -> bool:
    """Whether the action is a command to the hub."""
    return isinstance(action, Arm | Cancel | Read)


def numbered(facts: Facts, action: Action, counter: int) -> tuple[Facts, Action]:
    """The command just decided, and the row that knows of it, with another counter."""
    match action:
        case Arm():
            return facts._replace(arming=facts.arming._replace(counter=counter)), replace(action, counter=counter)
        case Cancel():
            return facts._replace(arming=facts.arming._replace(cancel_counter=counter)), replace(
                action, counter=counter
            )
        case Read():
            return facts._replace(silence=facts.silence._replace(read_counter=counter)), replace(
                action, counter=counter
            )
    return facts, action


def claim_if_due(facts: Facts, shown: Shown, rollout: Rollout, now: Instant) -> tuple[Facts, Action | None]:
    """Claim a hub if the decision in force lets it and its `claim_at` has come.

    `shown` is what the facts amount to under this decision: what an index says is due may be due no more (I5).
    """
    if not rollout.may_claim or shown.claim_at is None or shown.claim_at > now:
        return facts, None
    if rollout.pilot_only and not shown.pilot:
        return facts, None
    return claim(facts, shown.state, rollout, now)


def claim(facts: Facts, state: HubState, rollout: Rollout, now: Instant) -> tuple[Facts, Action | None]:
    """Claim a hub whose `claim_at` has come, under the epoch of the decision in force (I6)."""
    if state in {HubState.SCHEDULED, HubState.DELIVERY_FAILED}:
        return _distribute(facts, rollout, now)
    if state in {HubState.DELIVERED, HubState.ACTIVATION_FAILED, HubState.NOT_APPLIED}:
        return _arm(facts, rollout, now)
    return facts, None


def _distribute(facts: Facts, rollout: Rollout, now: Instant) -> tuple[Facts, Action]:
    delivery = facts.delivery._replace(epoch=rollout.decision.epoch, at=now, tries=facts.delivery.tries + 1)
    return facts._replace(delivery=delivery, silence=facts.silence.over()), Distribute()


def _arm(facts: Facts, rollout: Rollout, now: Instant) -> tuple[Facts, Action]:
    agreed = consented(facts, rollout)
    planned = agreed.activate_at
    earliest = now + rollout.pacing.asap_lead
    activate_at = max(earliest, planned or agreed.opens or earliest)
    counter = next_counter(facts, now)
    arming = Arming(
        epoch=rollout.decision.epoch,
        counter=counter,
        at=now,
        planned_for=quarter_of(activate_at) if planned is None else planned,
        fires_at=activate_at,
        tries=facts.arming.tries,
    )
    return facts._replace(arming=arming, silence=facts.silence.over()), Arm(counter, activate_at)


def _may_and_must_not_fire(facts: Facts, rollout: Rollout) -> bool:
    """Whether the hub has a CS06 that may fire and must not, and has not said that it is too late.

    One that shows the new version already has nothing to fire.
    """
    arming = facts.arming
    if not arming.may_fire or arming.too_late_at is not None:
        return False
    if arming.epoch < rollout.decision.min_epoch:
        return True
    return rollout.misfit(facts.inventory) not in {None, Inapplicable.ALREADY_AT_VERSION}


def call_back(facts: Facts, rollout: Rollout, now: Instant) -> tuple[Facts, Action | None]:
    """Call back a CS06 that may fire and must not, once; a release that ends meanwhile says so.

    It must not if it is older than the last halt, or if the image may not be applied to the hub any more: that is
    unfit, superseded or gone. What was armed since the halt stands: it was armed under the decision in force. One that
    an edge withheld is in force again until the hub has said that it gave it up. A cancellation that an edge refused is
    sent again after a pause (`cancel_again_at`).
    """
    arming, decision = facts.arming, rollout.decision
    if not _may_and_must_not_fire(facts, rollout):
        return facts, None
    if arming.cancelling:
        if rollout.ended and arming.cancel_for not in ENDS:
            facts = facts._replace(arming=arming._replace(cancel_for=decision.mode))
        again_at = cancel_again_at(facts.arming, rollout.pacing)
        return (facts, None) if again_at is None or again_at > now else _cancel_again(facts, now)
    counter = next_counter(facts, now)
    called_back = arming._replace(
        ended=None, ended_at=None, reason=None, cancel_counter=counter, cancel_at=now, cancel_for=decision.mode
    )
    return facts._replace(arming=called_back), Cancel(counter, arming.counter)


def _cancel_again(facts: Facts, now: Instant) -> tuple[Facts, Action]:
    counter = next_counter(facts, now)
    arming = facts.arming._replace(cancel_counter=counter, cancel_at=now)
    return facts._replace(arming=arming), Cancel(counter, arming.counter)


def pass_time(facts: Facts, state: HubState, rollout: Rollout, now: Instant) -> tuple[Facts, Action | None]:
    """Write down that time has passed for a row whose `check_at` has come."""
    again_at = cancel_again_at(facts.arming, rollout.pacing)
    if again_at is not None and again_at <= now:
        return _cancel_again(facts, now)
    if state in _EXPECTED_TO_SPEAK:
        return _read(facts._replace(silence=facts.silence._replace(since=now, reads=0)), now)
    if state is not HubState.SILENT:
        return _close_waits(facts, rollout, now), None
    if facts.silence.reads < rollout.pacing.read_attempts:
        return _read(facts, now)
    return facts._replace(silence=facts.silence._replace(unreachable_at=now)), None


def _close_waits(facts: Facts, rollout: Rollout, now: Instant) -> Facts:
    """Waits that are over, and what was withheld for a day that is. A release that has ended waits for nobody."""
    known, agreed = facts.consent, consented(facts, rollout)
    consent, answer_by, date = known, agreed.answer_by, agreed.terms.automatic_date
    if known.withheld is not None and now >= known.withheld.until:
        consent = consent._replace(withheld=None)
    if rollout.ended:
        return facts._replace(consent=consent)
    if answer_by is not None and now > answer_by:
        consent = consent._replace(answer_closed=max(answer_by, known.answer_closed or answer_by))
    if now >= date - rollout.pacing.automatic_lead:
        consent = consent._replace(automatic_due=max(date, known.automatic_due or date))
    return facts if consent == known else facts._replace(consent=consent)


def _read(facts: Facts, now: Instant) -> tuple[Facts, Action]:
    silence, counter = facts.silence, next_counter(facts, now)
    asked = silence._replace(
        reads=silence.reads + 1,
        read_counter=counter,
        read_at=now,
        read_refused_at=None,
        unreachable_at=None,
    )
    return facts._replace(silence=asked), Read(counter)
