"""hub.response: what an edge or a hub answered."""

from enum import StrEnum
from typing import ClassVar

from chfw_common.events.base import Code, Counter, Event, HubRef, Number, Part, ReleaseRef, UtcInstant


class ResponseKind(StrEnum):
    """The first two are about the image, the next about the edge, the others answer one command by its counter."""

    DELIVERED = "delivered"
    DELIVERY_FAILED = "delivery_failed"
    DISTRIBUTION_REFUSED = "distribution_refused"
    COMMAND_REFUSED = "command_refused"
    ACTIVATION_ACCEPTED = "activation_accepted"
    ACTIVATION_REFUSED = "activation_refused"
    CANCEL_ACCEPTED = "cancel_accepted"
    CANCEL_TOO_LATE = "cancel_too_late"
    VERSION_READ = "version_read"


class ResponseItem(Part):
    """One hub's answer. `counter` repeats the command's; `epoch` that of the message answered.

    `reason` is a TransferResponseCode, a refusal of the edge, or `not_future_dated`: each is in the catalogue.
    """

    hub: HubRef
    kind: ResponseKind
    at: UtcInstant
    epoch: Number | None = None
    counter: Counter | None = None
    reason: str | None = None
    firmware: Code | None = None


class HubResponse(Event):
    """Answers of hubs of one partition, in the order they were given."""

    TOPIC: ClassVar[str] = "hub.response"
    TYPE: ClassVar[str] = "uk.chfw.hub.response.v1"

    release_id: ReleaseRef
    items: tuple[ResponseItem, ...]

    @property
    def weight(self) -> int:
        """The answers carried."""
        return len(self.items)
