"""What a hub is told over the WAN: hub.command (CS06 activate at a time, or read the version, ECS52), and hub.cancel.

A cancel has a topic of its own: it is control traffic, and nothing else may wait in front of it.
"""

from enum import StrEnum
from typing import ClassVar, Literal

from chfw_common.events.base import Counter, Event, HubRef, Number, Part, ReleaseRef, UtcInstant


class CommandKind(StrEnum):
    """ACTIVATE is a future-dated CS06; CANCEL is the same with a far date (DOMAIN section 2); READ is SR 11.2."""

    ACTIVATE = "activate"
    CANCEL = "cancel"
    READ = "read_version"


class CommandItem(Part):
    """One hub's command. `counter` is the GBCS originator counter and strictly grows per hub.

    For CANCEL, `cancels` is the counter of the CS06 that is called back.
    """

    hub: HubRef
    counter: Counter
    activate_at: UtcInstant | None = None
    cancels: Counter | None = None


class Commanding(Event):
    """What commands for hubs of one partition have in common."""

    release_id: ReleaseRef
    firmware: str
    image_hash: str
    epoch: Number
    not_before: UtcInstant
    permit_until: UtcInstant
    items: tuple[CommandItem, ...]

    @property
    def weight(self) -> int:
        """The hubs commanded."""
        return len(self.items)


class HubCommand(Commanding):
    """CS06s, or version reads, for hubs of one partition."""

    TOPIC: ClassVar[str] = "hub.command"
    TYPE: ClassVar[str] = "uk.chfw.hub.command.v1"

    kind: Literal[CommandKind.ACTIVATE, CommandKind.READ]


class HubCancel(Commanding):
    """CS06s of hubs of one partition are called back."""

    TOPIC: ClassVar[str] = "hub.cancel"
    TYPE: ClassVar[str] = "uk.chfw.hub.cancel.v1"

    kind: Literal[CommandKind.CANCEL] = CommandKind.CANCEL
