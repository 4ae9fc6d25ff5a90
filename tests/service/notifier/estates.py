"""Hubs in the inventory and in the ledger, as the views of their owners show them to the notifier."""

from dataclasses import dataclass
from typing import Any

import orjson

from chfw_common.kernel.ids import HubId
from chfw_common.kernel.instants import Instant, format_instant, parse_instant
from chfw_common.topology import partition_of_hub
from tests.support.release import NOW, RELEASE
from tests.support.serving import Stand

SINCE = parse_instant("2024-01-01T00:00:00Z")
_LEDGER = """
insert into scheduler.ledger (release_id, part, hub, version, smi_version, smi_firmware, smi_status, smi_region,
    smi_make, import_party, import_user, import_since, gas_party, gas_user, gas_since, answers, dist_epoch, dist_tries,
    arm_epoch, arm_counter, cancel_counter, cancel_refusals, arm_tries, reads, read_counter, state, pilot, wave,
    activate_at, answer_by, proposed_at)
values ($1, $2, $3, 1, 1, '9.1', 'Commissioned', 'north', '["CHF","Acme","CH9","H1","4.1"]', $4, $4 || '-is', $5,
    $6, $6 || '-gs', $7, $8::text::jsonb, 0, 0, 0, 0, 0, 0, 0, 0, 0, $9, $10, $11, $12, $13, $14)
"""
_HUB = """
insert into smi.hub (hub, part, device_type, status, status_since, manufacturer, model, hardware, firmware, gbcs,
    region, import_party, import_user, import_since, gas_party, gas_user, gas_since, smi_version)
values ($1, $2, 'CHF', 'Commissioned', $3, 'Acme', $4, 'H1', $5, '4.1', $6, $7, $7 || '-is', $8, $9, $9 || '-gs',
    $10, 1)
"""


@dataclass(frozen=True)
class Estate:
    """One hub. `instructed` are the Parties that have instructed it; without a state it is in no release."""

    hub: int
    imports: str | None = "elec"
    gas: str | None = "gas"
    state: str | None = "eligible"
    instructed: tuple[str, ...] = ()
    release_id: str = RELEASE
    model: str = "CH9"
    region: str = "north"
    firmware: str = "9.1"
    pilot: bool = False
    wave: str | None = None
    proposed_at: Instant | None = None


async def fill(stand: Stand, *hubs: Estate, ledger_only: bool = False) -> None:
    """Put hubs into the inventory, and those with a state into the ledger."""
    async with stand.database.transaction() as tx:
        if not ledger_only:
            await tx.executemany(_HUB, [_record(one) for one in hubs])
        await tx.executemany(_LEDGER, [_row(one) for one in hubs if one.state is not None])


def _record(one: Estate) -> tuple[Any, ...]:
    part = partition_of_hub(HubId(one.hub))
    since, gas_since = one.imports and SINCE, one.gas and SINCE
    return (one.hub, part, SINCE, one.model, one.firmware, one.region, one.imports, since, one.gas, gas_since)


def _row(one: Estate) -> tuple[Any, ...]:
    said = [[party, 1, "instruct", "safe_launch", format_instant(NOW), None] for party in one.instructed]
    since, gas_since = one.imports and SINCE, one.gas and SINCE
    return (
        one.release_id, partition_of_hub(HubId(one.hub)), one.hub, one.imports, since, one.gas, gas_since,
        orjson.dumps(said).decode(), one.state, one.pilot, one.wave, NOW, None, one.proposed_at,
    )  # fmt: skip
