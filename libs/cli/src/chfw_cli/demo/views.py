"""Four independent views of the same hubs: the devices, the ledger, the inventory, and what each Supplier read."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chfw_cli.demo.client import Client
from chfw_cli.demo.estate import SUPPLIERS
from chfw_cli.demo.story import RELEASE_ID
from chfw_common.kernel.ids import HubId, PartyId, parse_hub_id
from chfw_common.kernel.instants import Instant, parse_instant
from chfw_common.kernel.roles import Role


@dataclass(frozen=True, slots=True)
class DeviceView:
    """What the device itself says."""

    firmware: str
    activated_at: Instant | None
    activations: int


@dataclass(frozen=True, slots=True)
class LedgerView:
    """What the scheduler says."""

    state: str
    reason: str | None
    activate_at: Instant | None
    pilot: bool
    wave: str | None
    parties: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InventoryView:
    """What the SMI says, of the CHF and of its GPF."""

    firmware: str
    gpf_firmware: str
    status: str


@dataclass(frozen=True, slots=True)
class ToldView:
    """What a Party was told last of a hub."""

    state: str
    activate_at: Instant | None


@dataclass(frozen=True, slots=True)
class Views:
    """The four, hub by hub; `told` per Party."""

    devices: Mapping[HubId, DeviceView]
    ledger: Mapping[HubId, LedgerView]
    inventory: Mapping[HubId, InventoryView]
    told: Mapping[PartyId, Mapping[HubId, ToldView]]


async def look(client: Client, admin: Any) -> Views:
    """Take all four views."""
    return Views(await _devices(client), await _ledger(admin), await _inventory(admin), await _told(client))


async def _devices(client: Client) -> dict[HubId, DeviceView]:
    found = {}
    async for page in client.pages("device-sim", "/v1/devices", "devices"):
        for row in page:
            at = row["activated_at"]
            found[parse_hub_id(row["hub"])] = DeviceView(
                row["firmware"], None if at is None else parse_instant(at), row["activations"]
            )
    return found


async def _ledger(admin: Any) -> dict[HubId, LedgerView]:
    rows = await admin.fetch("select * from scheduler.ledger where release_id = $1 order by hub", RELEASE_ID)
    return {
        HubId(row["hub"]): LedgerView(
            row["state"],
            row["reason"],
            row["activate_at"],
            row["pilot"],
            row["wave"],
            tuple(sorted({party for party in (row["import_party"], row["gas_party"]) if party is not None})),
        )
        for row in rows
    }


async def _inventory(admin: Any) -> dict[HubId, InventoryView]:
    rows = await admin.fetch(
        """select hub, h.firmware, g.firmware as gpf_firmware, h.status
           from smi.hub h join smi.gpf g using (gpf) order by hub"""
    )
    return {HubId(row["hub"]): InventoryView(row["firmware"], row["gpf_firmware"], row["status"]) for row in rows}


async def _told(client: Client) -> dict[PartyId, dict[HubId, ToldView]]:
    told: dict[PartyId, dict[HubId, ToldView]] = {}
    for party in map(PartyId, SUPPLIERS):
        last: dict[HubId, ToldView] = {}
        async for page in client.pages("notifier", "/v1/events", "events", party=party, role=Role.IMPORT_SUPPLIER):
            for event in page:
                if event["kind"] == "hub_progressed" and event["release_id"] == RELEASE_ID:
                    for said in event["data"]["progress"]:
                        if "state" in said:
                            last.update(dict.fromkeys(map(parse_hub_id, said["hubs"]), _told_view(said)))
        told[party] = last
    return told


def _told_view(said: dict[str, Any]) -> ToldView:
    at = said["activate_at"]
    return ToldView(said["state"], None if at is None else parse_instant(at))


def state_hash(views: Views) -> str:
    """A hash over the four views, hub by hub. In a simulation the same seed gives the same hash."""
    digest = hashlib.sha256()
    for name in ("devices", "ledger", "inventory"):
        view: Mapping[int, Any] = getattr(views, name)
        digest.update(name.encode())
        for hub in sorted(view):
            digest.update(f"{hub}|{view[hub]!r}\n".encode())
    for party in sorted(views.told):
        digest.update(party.encode())
        for hub in sorted(views.told[party]):
            digest.update(f"{hub}|{views.told[party][hub]!r}\n".encode())
    return digest.hexdigest()[:16]
