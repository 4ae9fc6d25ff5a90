"""One plain use of every route: who may call it, and a request that it answers with success."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chfw_common.kernel.ids import HubId, hub_eui64
from chfw_common.kernel.instants import format_instant
from chfw_common.kernel.roles import SUPPLIER_ROLES, Role
from tests.support.release import DAY, NOW, RELEASE, D

HUB = hub_eui64(HubId(1))
ANYBODY = frozenset(Role)
DCC = frozenset({Role.DCC})
_DATE = format_instant(D)
_RECORD = {"manufacturer": "Acme", "model": "CH9", "hardware": "H1", "firmware": "9.1"}


@dataclass(frozen=True)
class Use:
    """A request to a route. `allowed` are the roles it admits; the caller has the first of them, as the Party elec."""

    allowed: frozenset[Role]
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def role(self) -> Role:
        """The role of who makes it."""
        return min(self.allowed, key=list(Role).index)


_NOTICE = {
    "release_id": RELEASE,
    "cpl": {
        "manufacturer": "Acme",
        "model": "CH9",
        "hardware": ["H1"],
        "firmware": "9.2",
        "image_hash": "ab" * 32,
        "predecessors": ["9.1"],
    },
    "kind": "planned",
    "severity": "low",
    "priority": 3,
    "note_reference": "RN-9-2",
    "automatic_date": _DATE,
}
_INSTRUCTION = {"kind": "instruct", "activate_at": format_instant(NOW + 60 * DAY), "hubs": [HUB, "nonsense"]}
_DECISION = {"mode": "pilot", "reason": "The pilot may begin.", "confirmed_by": "the Panel", "expected_epoch": 0}
_RESPONSIBLE = {"party": "elec", "user_id": "elec-is", "role": "IS", "since": format_instant(NOW)}

USES: dict[str, dict[str, Use]] = {
    "notifier": {
        "POST /v1/releases": Use(DCC, _NOTICE),
        "PATCH /v1/releases/{release_id}": Use(DCC, {"note_reference": "RN-9-2b"}),
        "GET /v1/releases": Use(ANYBODY),
        "GET /v1/releases/{release_id}": Use(ANYBODY),
        "GET /v1/releases/{release_id}/eligibility": Use(SUPPLIER_ROLES, query={"limit": "1"}),
        "GET /v1/estate": Use(SUPPLIER_ROLES, query={"limit": "1"}),
        "POST /v1/releases/{release_id}/pilot:preview": Use(SUPPLIER_ROLES, {"size": 1, "seed": "spring"}),
        "GET /v1/events": Use(ANYBODY, query={"limit": "1"}),
    },
    "instruction": {
        "POST /v1/releases/{release_id}/instructions": Use(SUPPLIER_ROLES, _INSTRUCTION),
        "GET /v1/instructions/{request_id}": Use(SUPPLIER_ROLES),
        "GET /v1/instructions/{request_id}/results": Use(SUPPLIER_ROLES, query={"limit": "1"}),
    },
    "scheduler": {},
    "device-sim": {
        "POST /v1/devices:load": Use(DCC, {"devices": [{"hub": HUB, "region": "North", **_RECORD}]}),
        "GET /v1/devices": Use(DCC, query={"limit": "1"}),
        "GET /v1/fleet/assumptions": Use(DCC),
    },
    "smi": {
        "POST /v1/hubs:load": Use(
            DCC, {"hubs": [{"hub": HUB, "gbcs": "4.1", "region": "North", "responsible": [_RESPONSIBLE], **_RECORD}]}
        ),
        "POST /v1/hubs:change-supplier": Use(
            DCC, {"changes": [{"hub": HUB, "role": "GS", "party": "gas", "user_id": "gas-gs"}]}
        ),
        "GET /v1/hubs/{eui64}": Use(SUPPLIER_ROLES | DCC),
    },
    "governance": {
        "POST /v1/releases/{release_id}/decisions": Use(DCC, _DECISION),
        "GET /v1/releases/{release_id}/decisions": Use(frozenset({Role.DCC, Role.PANEL})),
    },
}
"""By service and route, in an order in which each finds what it needs."""
JSON_ROUTES = [
    (service, route)
    for service, uses in USES.items()
    for route, use in uses.items()
    # Intake has more forms than JSON, and tests of its own for them.
    if use.body is not None and service != "instruction"
]
ROUTES = [(service, route) for service, uses in USES.items() for route in uses]
