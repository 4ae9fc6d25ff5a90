"""cs06.alert: GBCS alerts 8F66 (activated) and 8F67 (failed) of future-dated CS06 commands."""

from typing import ClassVar

from chfw_common.events.base import AlertCode, Code, Counter, Event, HubRef, Outcome, Part, ReleaseRef, UtcInstant

ALERT_SUCCESS = 0x8F66
ALERT_FAILURE = 0x8F67
OUTCOME_SUCCESS = 0
OUTCOME_NO_IMAGE_HELD = 1
OUTCOME_HASH_MISMATCH = 2
OUTCOME_ACTIVATION_FAILURE = 3


class AlertItem(Part):
    """One alert. It has a counter of its own and carries the command's inside: correlate on the inner one.

    `outcome` is the activateImageResponseCode (0 success, 1 noImageHeld, 2 hashMismatch, 3 activationFailure);
    `firmware` is the version that runs now, also after a failure.
    """

    hub: HubRef
    alert_code: AlertCode
    alert_counter: Counter
    command_counter: Counter
    outcome: Outcome
    firmware: Code
    executed_at: UtcInstant


class Cs06Alert(Event):
    """Alerts of hubs of one partition."""

    TOPIC: ClassVar[str] = "cs06.alert"
    TYPE: ClassVar[str] = "uk.chfw.cs06.alert.v1"

    release_id: ReleaseRef
    items: tuple[AlertItem, ...]

    @property
    def weight(self) -> int:
        """The alerts carried."""
        return len(self.items)
