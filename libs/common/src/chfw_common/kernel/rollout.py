"""The closed vocabularies of a roll-out: what Parties answer, what the DCC decides, where a hub stands."""

from enum import StrEnum


class Rule(StrEnum):
    """The set of consent rules a release runs under (A-10)."""

    VOLUNTARY = "voluntary"
    MANDATORY = "mandatory"


class AnswerKind(StrEnum):
    """What a Party says of hubs. AGREE is an instruction for the time the Party was shown."""

    INSTRUCT = "instruct"
    AGREE = "agree"
    DECLINE = "decline"
    WITHDRAW = "withdraw"


class Group(StrEnum):
    """The group an instruction names (G-2, G-3)."""

    PILOT = "pilot"
    SAFE_LAUNCH = "safe_launch"


class Mode(StrEnum):
    """What the DCC lets happen to a release."""

    HELD = "held"
    PILOT = "pilot"
    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"
    REVOKED = "revoked"


HALTS = frozenset({Mode.HELD, Mode.PAUSE, Mode.STOP, Mode.REVOKED})
ENDS = frozenset({Mode.STOP, Mode.REVOKED})


class HubState(StrEnum):
    """Where one hub stands in one release: a pure function of the facts of its ledger row."""

    ELIGIBLE = "eligible"
    AWAITING_CONSENT = "awaiting_consent"
    SCHEDULED = "scheduled"
    DISTRIBUTING = "distributing"
    DELIVERED = "delivered"
    DELIVERY_FAILED = "delivery_failed"
    ARMING = "arming"
    ARMED = "armed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    ACTIVATED = "activated"
    ACTIVATION_FAILED = "activation_failed"
    NOT_APPLIED = "not_applied"
    SILENT = "silent"
    UNREACHABLE = "unreachable"
    UNFIT = "unfit"
    CONFIRMED = "confirmed"
    FAILED_FINAL = "failed_final"
    SUPERSEDED = "superseded"
    DEPARTED = "departed"


FINAL_STATES = frozenset(
    {
        HubState.CONFIRMED,
        HubState.FAILED_FINAL,
        HubState.CANCELLED,
        HubState.SUPERSEDED,
        HubState.DEPARTED,
    }
)
