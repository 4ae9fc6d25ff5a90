"""What the inventory says of a hub: model, firmware, status, region, and who answers for it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from chfw_common.kernel.ids import HubId, PartyId, UserId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role


class DeviceType(StrEnum):
    """DeviceType of DUIS."""

    CHF = "CHF"
    GPF = "GPF"
    ESME = "ESME"
    GSME = "GSME"
    PPMID = "PPMID"


class DeviceStatus(StrEnum):
    """DeviceStatus of DUIS (SMI status)."""

    PENDING = "Pending"
    WHITELISTED = "Whitelisted"
    INSTALLED_NOT_COMMISSIONED = "InstalledNotCommissioned"
    COMMISSIONED = "Commissioned"
    DECOMMISSIONED = "Decommissioned"
    WITHDRAWN = "Withdrawn"
    SUSPENDED = "Suspended"
    RECOVERY = "Recovery"
    RECOVERED = "Recovered"


UPGRADEABLE_STATUSES = frozenset({DeviceStatus.COMMISSIONED, DeviceStatus.SUSPENDED})


class Responsibility(NamedTuple):
    """A Party that answers for a hub: in which role, under which User ID, since when."""

    party: PartyId
    user_id: UserId
    role: Role
    since: Instant


class Make(NamedTuple):
    """What a hub is, apart from its status and the version it runs: hubs of a model share it."""

    device_type: DeviceType
    manufacturer: str
    model: str
    hardware: str
    gbcs: str


@dataclass(frozen=True, slots=True)
class HubRecord:
    """One CHF as the Smart Metering Inventory shows it. `part` is its partition on every hub topic."""

    hub: HubId
    part: int
    device_type: DeviceType
    status: DeviceStatus
    manufacturer: str
    model: str
    hardware: str
    firmware: str
    gbcs: str
    region: str
    responsible: tuple[Responsibility, ...]
    smi_version: int

    @property
    def make(self) -> Make:
        """What the hub is."""
        return Make(self.device_type, self.manufacturer, self.model, self.hardware, self.gbcs)


class HubFields(NamedTuple):
    """What intake asks of a hub, column by column: tens of thousands are looked up for one request.

    From `device_type` on it is what an image is compared with.
    """

    hub: HubId
    part: int
    import_party: PartyId | None
    import_user: UserId | None
    gas_party: PartyId | None
    gas_user: UserId | None
    region: str
    device_type: str
    status: str
    manufacturer: str
    model: str
    hardware: str
    firmware: str
    gbcs: str
