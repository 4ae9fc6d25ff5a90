"""What a CSP edge lets pass to its hubs (ARCHITECTURE section 6)."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from chfw_common.kernel.instants import Instant


class Refusal(StrEnum):
    """Why an edge does not forward a message; the values go into responses."""

    STALE_EPOCH = "stale_epoch"
    SKEWED = "skewed"
    TOO_EARLY = "too_early"
    PERMIT_EXPIRED = "permit_expired"


@dataclass(frozen=True, slots=True)
class Permit:
    """What a message may show at the edge. The bounds are those of forwarding, not of the activation; both included.

    `not_before` is by the clock of the sender, which may be ahead of the edge's by `max_skew`.
    """

    epoch: int
    not_before: Instant
    permit_until: Instant


def is_skewed(sent_at: Instant, machine_now: Instant, max_skew: timedelta) -> bool:
    """Whether a message comes from further ahead than clocks may differ (machine time, both).

    An edge that reads such a message cannot trust permits, so it forwards nothing of that release until a message is
    in order again; as each message is asked anew, there is nothing to remember.
    """
    return sent_at - machine_now > max_skew


def refusal(permit: Permit, min_epoch: int, now: Instant, *, max_skew: timedelta, skewed: bool) -> Refusal | None:
    """Why the edge refuses, or None when it forwards. A halt comes before everything else."""
    if permit.epoch < min_epoch:
        return Refusal.STALE_EPOCH
    if skewed:
        return Refusal.SKEWED
    if now < permit.not_before - max_skew:
        return Refusal.TOO_EARLY
    if now > permit.permit_until:
        return Refusal.PERMIT_EXPIRED
    return None
