"""firmware.distributed: the image was handed to the CSP for hubs (CS05a, R3-8)."""

from typing import ClassVar

from chfw_common.events.base import Code, Event, HubRef, Number, ReleaseRef, UtcInstant


class FirmwareDistributed(Event):
    """The edge forwards it only while its epoch is not fenced and within [not_before, permit_until]."""

    TOPIC: ClassVar[str] = "firmware.distributed"
    TYPE: ClassVar[str] = "uk.chfw.firmware.distributed.v1"

    release_id: ReleaseRef
    firmware: Code
    image_hash: str
    epoch: Number
    not_before: UtcInstant
    permit_until: UtcInstant
    hubs: tuple[HubRef, ...]

    @property
    def weight(self) -> int:
        """The hubs named."""
        return len(self.hubs)
