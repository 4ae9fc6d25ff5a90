"""Which hubs a pilot may be chosen from: those that intake accepts at this moment in a pilot list of the same User ID.

What depends on the stated time cannot be known here: the time must lie between `pilot_opens` and D of each hub.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from chfw_common.kernel.applicability import Image, inapplicable
from chfw_common.kernel.hubs import DeviceStatus, DeviceType, HubRecord
from chfw_common.kernel.ids import HubId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.months import cut_off
from chfw_common.kernel.rollout import Mode
from chfw_common.kernel.waves import Wave, wave_of
from chfw_notifier.domain.pilot import Candidate, Stratum


class Closed(StrEnum):
    """Why a release takes no pilot list at all; intake refuses one with the same words."""

    RELEASE_REVOKED = "release_revoked"
    RELEASE_STOPPED = "release_stopped"
    CPL_NOT_ACTIVE = "cpl_not_active"
    PILOT_CLOSED = "pilot_closed"


@dataclass(frozen=True, slots=True)
class Offered:
    """A release as far as a pilot may be chosen in it. `automatic_date` and `waves` are those in force."""

    image: Image
    cpl_active: bool
    mode: Mode
    automatic_date: Instant
    waves: tuple[Wave, ...]
    pilot_opens: Instant

    def closed(self, now: Instant) -> Closed | None:
        """The first reason against every pilot list that comes now."""
        rows = {
            Closed.RELEASE_REVOKED: self.mode is Mode.REVOKED,
            Closed.RELEASE_STOPPED: self.mode is Mode.STOP,
            Closed.CPL_NOT_ACTIVE: not self.cpl_active,
            Closed.PILOT_CLOSED: now >= self.pilot_opens,
        }
        return next((reason for reason, applies in rows.items() if applies), None)


class OwnHub(NamedTuple):
    """A hub of the User ID that asks, of which nothing is under way. From `device_type` on it is what the image is
    compared with."""

    hub: HubId
    region: str
    second_supplier: bool
    device_type: str
    status: str
    manufacturer: str
    model: str
    hardware: str
    firmware: str
    gbcs: str


def candidates(offered: Offered, hubs: Iterable[OwnHub], now: Instant) -> list[Candidate]:
    """Those of the hubs that the image may be applied to and whose cut-off has not passed."""
    fits, in_time = _fits(offered.image), _in_time(offered.waves, offered.automatic_date, now)
    return [
        Candidate(one.hub, Stratum(one.model, one.region, one.second_supplier))
        for one in hubs
        if fits(one) and in_time(one)
    ]


def _fits(image: Image) -> Callable[[OwnHub], bool]:
    """Hubs that are alike are compared with the image once."""
    alike: dict[tuple[str, ...], bool] = {}

    def look(one: OwnHub) -> bool:
        kind = one[3:]
        if kind not in alike:
            device_type, status, *build = kind
            manufacturer, model, hardware, firmware, gbcs = build
            record = HubRecord(
                one.hub, 0, DeviceType(device_type), DeviceStatus(status),
                manufacturer, model, hardware, firmware, gbcs, one.region, (), 0,
            )  # fmt: skip
            alike[kind] = inapplicable(image, record) is None
        return alike[kind]

    return look


def _in_time(waves: Sequence[Wave], automatic_date: Instant, now: Instant) -> Callable[[OwnHub], bool]:
    last: dict[str | None, Instant] = {None: cut_off(automatic_date)}
    last.update({wave.name: cut_off(wave.automatic_date) for wave in waves})

    def look(one: OwnHub) -> bool:
        wave = wave_of(waves, one.hub, one.region)
        return now <= last[None if wave is None else wave.name]

    return look
