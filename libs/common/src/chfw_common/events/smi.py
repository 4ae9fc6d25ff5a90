"""smi.updated: the Smart Metering Inventory's record of hubs after a change, and what caused it."""

from enum import StrEnum
from typing import ClassVar

from chfw_common.events.base import (
    Code,
    Counter,
    Event,
    HubRef,
    Outcome,
    Part,
    PartyRef,
    ReleaseRef,
    UserRef,
    UtcInstant,
)
from chfw_common.kernel.hubs import DeviceStatus, DeviceType
from chfw_common.kernel.roles import Role


class CauseKind(StrEnum):
    """What made the inventory speak. ALERT and READ are also told when no version changed (a failed activation)."""

    LOAD = "load"
    SUPPLIER_CHANGE = "supplier_change"
    ALERT = "alert"
    READ = "read"


class SmiCause(Part):
    """The cause of one update; release, counter and outcome are there for ALERT and READ."""

    kind: CauseKind
    at: UtcInstant
    release_id: ReleaseRef | None = None
    counter: Counter | None = None
    outcome: Outcome | None = None


class Responsible(Part):
    """A Party that answers for the hub, in one role, since an instant."""

    party: PartyRef
    user_id: UserRef
    role: Role
    since: UtcInstant


class SmiHub(Part):
    """The full record of a CHF. `smi_version` counts per hub: the highest wins."""

    hub: HubRef
    smi_version: Counter
    device_type: DeviceType
    status: DeviceStatus
    manufacturer: Code
    model: Code
    hardware: Code
    firmware: Code
    gbcs: str
    region: str
    responsible: tuple[Responsible, ...]
    cause: SmiCause


class SmiUpdated(Event):
    """Records of hubs of one partition."""

    TOPIC: ClassVar[str] = "smi.updated"
    TYPE: ClassVar[str] = "uk.chfw.smi.updated.v1"

    items: tuple[SmiHub, ...]

    @property
    def weight(self) -> int:
        """The records carried."""
        return len(self.items)
