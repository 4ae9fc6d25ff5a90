"""Readers of `smi_published.hub`, the shared register of hubs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg

from chfw_common.kernel.hubs import DeviceStatus, DeviceType, HubFields, HubRecord, Responsibility
from chfw_common.kernel.ids import GREATEST_HUB, LEAST_HUB, HubId, PartyId, UserId
from chfw_common.kernel.roles import Role

_TYPES = {entry.value: entry for entry in DeviceType}
_STATUSES = {entry.value: entry for entry in DeviceStatus}

_LOOKUP = """
select h.* from unnest($1::bigint[]) asked(hub) join smi_published.hub h on h.hub = asked.hub order by h.hub
"""
_FIELDS = """
select h.hub, h.part, h.import_party, h.import_user, h.gas_party, h.gas_user, h.region, h.device_type, h.status,
       h.manufacturer, h.model, h.hardware, h.firmware, h.gbcs
from smi_published.hub h where h.hub = any($1::bigint[]) order by h.hub
"""
_PAGE = """
select * from smi_published.hub
where manufacturer = $1 and model = $2 and hub >= $4 and hardware = any($3::text[])
order by hub limit $5
"""

_KINDS = """
select device_type, status, manufacturer, model, hardware, firmware, gbcs, import_party, gas_party, count(*) as hubs
from smi_published.hub
where manufacturer = $1 and model = $2
group by device_type, status, manufacturer, model, hardware, firmware, gbcs, import_party, gas_party
"""


async def lookup(tx: "asyncpg.Connection[Any]", hubs: Sequence[HubId]) -> dict[HubId, HubRecord]:
    """The records of these hubs in signed order of their ids; a hub that the inventory does not know is left out."""
    return {row["hub"]: hub_record(row) for row in await tx.fetch(_LOOKUP, hubs)}


async def lookup_fields(tx: "asyncpg.Connection[Any]", hubs: Sequence[HubId]) -> dict[HubId, HubFields]:
    """What intake asks of these hubs; a hub that the inventory does not know is left out."""
    make = HubFields._make
    return {row[0]: make(row) for row in await tx.fetch(_FIELDS, hubs)}


async def page_of_model(
    tx: "asyncpg.Connection[Any]",
    manufacturer: str,
    model: str,
    hardware: Sequence[str],
    after: HubId | None,
    limit: int,
) -> list[HubRecord]:
    """Hubs of a model with one of these hardware versions, in signed order of ids, beginning behind `after`."""
    if after == GREATEST_HUB:
        return []
    first = LEAST_HUB if after is None else after + 1
    rows = await tx.fetch(_PAGE, manufacturer, model, list(hardware), first, limit)
    return [hub_record(row) for row in rows]


class Kind(NamedTuple):
    """Hubs that an image is compared with alike: one record for all, which is of no hub; how many they are; and for how
    many of them each Party answers, in whichever role."""

    like: HubRecord
    hubs: int
    parties: Mapping[PartyId, int]


async def kinds_of_model(tx: "asyncpg.Connection[Any]", manufacturer: str, model: str) -> list[Kind]:
    """The hubs of a model by kind. Reads every hub of the model."""
    kinds: dict[tuple[str, ...], Counter[PartyId | None]] = {}
    for *kind, import_party, gas_party, hubs in await tx.fetch(_KINDS, manufacturer, model):
        # None counts them all.
        counted = kinds.setdefault(tuple(kind), Counter())
        for party in {None, import_party, gas_party}:
            counted[party] += hubs
    return [
        Kind(_like(kind), counted[None], {party: hubs for party, hubs in counted.items() if party is not None})
        for kind, counted in kinds.items()
    ]


def _like(kind: tuple[str, ...]) -> HubRecord:
    device_type, status, manufacturer, model, hardware, firmware, gbcs = kind
    return HubRecord(
        hub=HubId(0), part=0, device_type=_TYPES[device_type], status=_STATUSES[status], manufacturer=manufacturer,
        model=model, hardware=hardware, firmware=firmware, gbcs=gbcs, region="", responsible=(), smi_version=0,
    )  # fmt: skip


def hub_record(row: "asyncpg.Record") -> HubRecord:
    """The record a row of the view (or of a query with its columns) stands for."""
    responsible = []
    if row["import_party"] is not None:
        responsible.append(
            Responsibility(
                PartyId(row["import_party"]), UserId(row["import_user"]), Role.IMPORT_SUPPLIER, row["import_since"]
            )
        )
    if row["gas_party"] is not None:
        responsible.append(
            Responsibility(PartyId(row["gas_party"]), UserId(row["gas_user"]), Role.GAS_SUPPLIER, row["gas_since"])
        )
    return HubRecord(
        hub=row["hub"],
        part=row["part"],
        device_type=_TYPES[row["device_type"]],
        status=_STATUSES[row["status"]],
        manufacturer=row["manufacturer"],
        model=row["model"],
        hardware=row["hardware"],
        firmware=row["firmware"],
        gbcs=row["gbcs"],
        region=row["region"],
        responsible=tuple(responsible),
        smi_version=row["smi_version"],
    )
