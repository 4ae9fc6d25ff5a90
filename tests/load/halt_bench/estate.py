"""Hubs and releases of a campaign: every run has hubs of a model of its own, and a release for that model."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from chfw_cli.demo.client import Client
from chfw_cli.demo.estate import (
    GBCS,
    HARDWARE,
    MANUFACTURER,
    NEW_FIRMWARE,
    OLD_FIRMWARE,
    REGIONS,
    SUPPLIERS,
    Estate,
    EstateHub,
)
from chfw_cli.demo.story import Story
from chfw_cli.demo.tell import seed
from chfw_common.kernel.ids import HubId, PartyId, hub_eui64
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role
from tests.load.halt_bench.draw import Plan

PARTY = PartyId(SUPPLIERS[0])
AUTOMATIC, STATED = timedelta(days=120), timedelta(days=30)
_FIRST = 0x00DB_1234_0000_0000
_APART = 1 << 20
MOST_HUBS = _APART // 2
"""A hub's id and that of its gas proxy are neighbours, and the ids of a run are a block."""
HALT_EPOCH = 3
"""After pilot and run, which the order of modes asks for."""


def hubs_of(plan: Plan, hubs: int, draw: random.Random) -> list[EstateHub]:
    """The hubs of a run, over all regions; one Party answers for all."""
    names, weights = zip(*REGIONS, strict=True)
    regions = draw.choices(names, weights, k=hubs)
    first = _FIRST + plan.number * _APART
    return [
        EstateHub(
            hub=HubId(first + 2 * number),
            gpf=HubId(first + 2 * number + 1),
            region=region,
            model=model_of(plan),
            hardware=HARDWARE,
            firmware=OLD_FIRMWARE,
            status="Commissioned",
            gbcs=GBCS,
            device_type="CHF",
            import_party=PARTY,
            gas_party=PARTY,
        )
        for number, region in enumerate(regions)
    ]


def model_of(plan: Plan) -> str:
    """The model that only hubs of this run have."""
    return f"4332{plan.number:04X}"


async def load(client: Client, estate: Estate, now: Instant) -> None:
    """Load all hubs into the inventory and into the simulated network."""
    await seed(client, Story(estate, now, now + AUTOMATIC, (), ()))


async def announce(client: Client, plan: Plan, now: Instant) -> None:
    """Announce the release of a run; its automatic date is far away."""
    body = {
        "release_id": plan.release_id,
        "cpl": {
            "manufacturer": MANUFACTURER,
            "model": model_of(plan),
            "hardware": [HARDWARE],
            "firmware": NEW_FIRMWARE,
            "image_hash": f"{plan.number:064x}",
            "predecessors": [OLD_FIRMWARE],
            "gbcs_versions": [GBCS],
        },
        "kind": "planned",
        "severity": "medium",
        "priority": 2,
        "note_reference": f"DCC-RN-{plan.release_id}",
        "automatic_date": (now + AUTOMATIC).isoformat(),
    }
    await client.post("notifier", "/v1/releases", body, key=f"notice-{plan.release_id}")


async def instruct(client: Client, plan: Plan, hubs: Sequence[EstateHub], activate_at: Instant | None) -> None:
    """Instruct hubs of a run for a time, or as soon as capacity allows."""
    when = None if activate_at is None else activate_at.isoformat()
    body: dict[str, Any] = {
        "kind": "instruct",
        "group": "safe_launch",
        "activate_at": when,
        "hubs": [hub_eui64(hub.hub) for hub in hubs],
    }
    path = f"/v1/releases/{plan.release_id}/instructions"
    key = f"instruct-{plan.release_id}-{when}"
    await client.post("instruction", path, body, key=key, party=PARTY, role=Role.IMPORT_SUPPLIER)


async def decide(client: Client, plan: Plan, mode: str) -> None:
    """The DCC decides about the release of a run."""
    untried = "The halt campaign has no pilot." if mode == "run" else None
    body = {"mode": mode, "reason": "The campaign.", "confirmed_by": "SEC Panel", "without_pilot": untried}
    await client.post("governance", f"/v1/releases/{plan.release_id}/decisions", body, key=f"{mode}-{plan.release_id}")
