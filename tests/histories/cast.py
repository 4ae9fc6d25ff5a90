"""Who and what a history is about: a release, three Parties, and hubs that differ in who answers for them."""

from dataclasses import dataclass
from datetime import timedelta

from chfw_common.events.release import CplEntry, ReleaseNotified
from chfw_common.kernel.hubs import DeviceStatus, DeviceType
from chfw_common.kernel.ids import HubId, PartyId, ReleaseId, UserId
from chfw_common.kernel.instants import Instant, parse_instant
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import Rule
from chfw_common.kernel.waves import Wave

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BEGIN = parse_instant("2026-10-01T09:00:00Z")
D = parse_instant("2027-01-15T12:00:00Z")
RELEASE = ReleaseId("R1")
EDGES = ("North", "South")
OLD, NEW = "OLD", "NEW"
ELEC, GAS, JOINER = (PartyId(name) for name in ("elec", "gas", "joiner"))
PARTIES = (ELEC, GAS, JOINER)


def user_of(party: PartyId, role: Role) -> UserId:
    """The User ID of a Party in a role."""
    return UserId(f"{party}-{role}")


@dataclass(frozen=True, slots=True)
class Box:
    """A hub as the inventory is told of it."""

    hub: HubId
    region: str
    imports: PartyId | None
    gas: PartyId | None
    status: DeviceStatus = DeviceStatus.COMMISSIONED
    model: str = "CH9"
    hardware: str = "H1"
    gbcs: str = "4.1"
    device_type: DeviceType = DeviceType.CHF


BOXES = (
    Box(HubId(11), "North", ELEC, GAS),
    Box(HubId(12), "South", ELEC, GAS),
    Box(HubId(13), "North", ELEC, ELEC),
    Box(HubId(14), "South", GAS, None),
)
HUBS = tuple(box.hub for box in BOXES)
LATE_REGION = (Wave("late", D - 20 * DAY, D, ("South",)),)
"""A wave that opens three weeks before D, for the hubs of one region."""


def notice(*, rule: Rule, waves: tuple[Wave, ...], version: int = 1, cpl_state: str = "Active") -> ReleaseNotified:
    """The release as it is announced, or announced again."""
    cpl = {
        "manufacturer": "Acme", "model": "CH9", "hardware": ("H1",), "firmware": NEW, "image_hash": "ab" * 32,
        "predecessors": (OLD,), "gbcs_versions": ("4.1",), "state": cpl_state,
    }  # fmt: skip
    return ReleaseNotified.model_validate(
        {
            "release_id": RELEASE, "version": version, "cpl": CplEntry.model_validate(cpl), "kind": "planned",
            "severity": "low", "priority": 3, "note_reference": "RN", "rule": rule, "lone_lead": 14 * DAY,
            "answer_min": 3 * DAY, "pilot_cap": 2, "pilot_places": {PARTIES[0]: 2},
            "notified_at": BEGIN, "pilot_opens": BEGIN + 14 * DAY,
            "pilot_closes": BEGIN + 28 * DAY, "automatic_date": D, "waves": waves,
        }
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a Party sends it."""

    party: PartyId
    role: Role
    kind: str
    hubs: tuple[HubId, ...]
    group: str
    activate_at: Instant | None
