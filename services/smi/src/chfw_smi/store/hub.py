"""The lines of the inventory."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg

from chfw_common.kernel.hubs import HubRecord, Responsibility
from chfw_common.kernel.ids import HubId, PartyId, UserId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role
from chfw_common.published.smi import hub_record
from chfw_common.runtime.advisory import lock_key
from chfw_common.runtime.columns import columns
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_common.runtime.updates import Column, kinds_of, named, update_rows
from chfw_smi.domain.inventory import GpfTakenError, Heard, Line

ONE_HUB_PER_GPF = "hub_gpf_is_of_one_hub"

_SQL = load_queries("chfw_smi.store", "hub.sql")
_LOAD_LOCK = lock_key("smi", "load", "hubs")


class Fixed(NamedTuple):
    """What no word of a hub changes, as the row spells it: alerts come by the thousand, so nothing is made of it."""

    hub: HubId
    part: int
    gpf: HubId | None
    device_type: str
    status: str
    manufacturer: str
    model: str
    hardware: str
    gbcs: str
    region: str
    import_party: PartyId | None
    import_user: UserId | None
    import_since: Instant | None
    gas_party: PartyId | None
    gas_user: UserId | None
    gas_since: Instant | None


_WIDTH = len(Fixed._fields)
_HEARD = kinds_of(
    "firmware:text firmware_at:timestamptz smi_version:bigint alert_release:text alert_counter:bigint read_release:text"
    " read_counter:bigint"
)


async def lock_loading(tx: Tx) -> None:
    """One load at a time: two that bring the same new hubs would collide."""
    await tx.execute("select pg_advisory_xact_lock($1)", _LOAD_LOCK)


async def lock(tx: Tx, hubs: Iterable[HubId]) -> dict[HubId, Line]:
    """The known ones of these hubs, locked in signed order."""
    rows = await tx.fetch(_SQL["lock_hubs"], sorted(set(hubs)))
    return {row["hub"]: _line(row) for row in rows}


async def lock_heard(tx: Tx, hubs: Iterable[HubId]) -> dict[HubId, tuple[Fixed, Heard]]:
    """What the known ones of these hubs have said, locked in signed order."""
    rows = await tx.fetch(_SQL["lock_heard"], sorted(set(hubs)))
    return {row[0]: (Fixed._make(row[:_WIDTH]), Heard._make(row[_WIDTH:])) for row in rows}


async def find(tx: Tx, hub: HubId) -> Line | None:
    """The line of one hub."""
    row = await tx.fetchrow(_SQL["find_hub"], hub)
    return None if row is None else _line(row)


async def find_own(tx: Tx, hub: HubId, party: PartyId, user_id: UserId) -> Line | None:
    """The line of one hub that a User ID answers for; any other is not there."""
    row = await tx.fetchrow(_SQL["find_own_hub"], hub, party, user_id)
    return None if row is None else _line(row)


async def save_loaded(tx: Tx, before: dict[HubId, Line], after: Sequence[Line]) -> None:
    """Write lines as loaded. Raises GpfTakenError when another hub has one of them."""
    new = [line for line in after if line.record.hub not in before]
    changed = [line for line in after if line.record.hub in before]
    moved = [line for line in changed if before[line.record.hub].gpf != line.gpf]
    try:
        if moved:
            await tx.execute(_SQL["free_gpfs"], [line.record.hub for line in moved])
        if new:
            await tx.execute(_SQL["insert_hubs"], *columns(map(row_of, new)))
        if changed:
            rows = ((*row_of(line), line.firmware_at) for line in changed)
            await tx.execute(_SQL["update_hubs"], *columns(rows))
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == ONE_HUB_PER_GPF:
            raise GpfTakenError("a GPF belongs to another hub") from error
        raise


async def save_suppliers(tx: Tx, lines: Sequence[Line]) -> None:
    """Write who answers for hubs."""
    rows = ((line.record.hub, *_suppliers(line.record), line.record.smi_version) for line in lines)
    if lines:
        await tx.execute(_SQL["update_suppliers"], *columns(rows))


async def save_heard(tx: Tx, after: Mapping[HubId, Heard]) -> None:
    """Write what hubs said."""
    if after:
        changed = named(_HEARD, after.values())
        await update_rows(tx, "hub", [Column("hub", "bigint", list(after))], changed)


def _line(row: asyncpg.Record) -> Line:
    return Line(
        record=hub_record(row),
        gpf=row["gpf"],
        status_since=row["status_since"],
        firmware_at=row["firmware_at"],
    )


def row_of(line: Line) -> tuple[Any, ...]:
    """The row of a line, all columns but what only observations fill."""
    record = line.record
    return (
        record.hub,
        record.part,
        line.gpf,
        record.device_type.value,
        record.status.value,
        line.status_since,
        record.manufacturer,
        record.model,
        record.hardware,
        record.firmware,
        record.gbcs,
        record.region,
        *_suppliers(record),
        record.smi_version,
    )


def _suppliers(record: HubRecord) -> tuple[Any, ...]:
    by_role = {entry.role: entry for entry in record.responsible}
    return (*_columns_of(by_role.get(Role.IMPORT_SUPPLIER)), *_columns_of(by_role.get(Role.GAS_SUPPLIER)))


def _columns_of(entry: Responsibility | None) -> tuple[Any, ...]:
    return (None, None, None) if entry is None else (entry.party, entry.user_id, entry.since)
