"""hub.command: what a hub is told over the WAN: CS06 activate at a time, cancel it, or read the version (ECS52)."""

from enum import StrEnum
from typing import ClassVar

from chfw_common.events.base import Event, HubRef, Part, UtcInstant
from chfw_common.kernel.ids import ReleaseId


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
    counter: int
    activate_at: UtcInstant | None = None
    cancels: int | None = None


class HubCommand(Event):
    """One kind of command for hubs of one partition."""

    TOPIC: ClassVar[str] = "hub.command"
    TYPE: ClassVar[str] = "uk.chfw.hub.command.v1"

    release_id: ReleaseId
    kind: CommandKind
    firmware: str
    image_hash: str
    epoch: int
    not_before: UtcInstant
    permit_until: UtcInstant
    items: tuple[CommandItem, ...]

    @property
    def weight(self) -> int:
        """The hubs commanded."""
        return len(self.items)
