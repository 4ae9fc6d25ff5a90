"""The lines of the inventory, and the GPF rows that follow them."""

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from chfw_common.kernel.hubs import HubRecord, Responsibility
from chfw_common.kernel.ids import HubId
from chfw_common.kernel.roles import Role
from chfw_common.published.smi import hub_record
from chfw_common.runtime.advisory import lock_key
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_smi.domain.inventory import GpfTakenError, Line

ONE_HUB_PER_GPF = "hub_gpf_is_of_one_hub"

_SQL = load_queries("chfw_smi.store", "hub.sql")
_LOAD_LOCK = lock_key("smi", "load", "hubs")


async def lock_loading(tx: Tx) -> None:
    """One load at a time: two that bring the same new hubs would collide."""
    await tx.execute("select pg_advisory_xact_lock($1)", _LOAD_LOCK)


async def lock(tx: Tx, hubs: Iterable[HubId]) -> dict[HubId, Line]:
    """The known ones of these hubs, locked in signed order."""
    rows = await tx.fetch(_SQL["lock_hubs"], sorted(set(hubs)))
    return {row["hub"]: _line(row) for row in rows}


async def find(tx: Tx, hub: HubId) -> Line | None:
    """The line of one hub."""
    row = await tx.fetchrow(_SQL["find_hub"], hub)
    return None if row is None else _line(row)


async def save_loaded(tx: Tx, before: dict[HubId, Line], after: Sequence[Line]) -> None:
    """Write lines as loaded, with their GPFs. Raises GpfTakenError when another hub has one of them."""
    new = [line for line in after if line.record.hub not in before]
    changed = [line for line in after if line.record.hub in before]
    moved = [line for line in changed if before[line.record.hub].gpf != line.gpf]
    try:
        if moved:
            await tx.execute(_SQL["free_gpfs"], [line.record.hub for line in moved])
        if new:
            await tx.execute(_SQL["insert_hubs"], *_columns(map(_full, new)))
        if changed:
            rows = ((*_full(line), line.firmware_at) for line in changed)
            await tx.execute(_SQL["update_hubs"], *_columns(rows))
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == ONE_HUB_PER_GPF:
            raise GpfTakenError("a GPF belongs to another hub") from error
        raise
    gpfs = [(line.gpf, line.record.manufacturer, line.record.model, line.record.firmware) for line in after if line.gpf]
    if gpfs:
        await tx.execute(_SQL["put_gpfs"], *_columns(gpfs))
    left = [gpf for line in moved if (gpf := before[line.record.hub].gpf) is not None]
    if left:
        await tx.execute(_SQL["drop_gpfs"], left)


async def save_suppliers(tx: Tx, lines: Sequence[Line]) -> None:
    """Write who answers for hubs."""
    rows = ((line.record.hub, *_suppliers(line.record), line.record.smi_version) for line in lines)
    if lines:
        await tx.execute(_SQL["update_suppliers"], *_columns(rows))


async def save_observed(tx: Tx, before: dict[HubId, Line], after: Sequence[Line]) -> None:
    """Write what hubs said: the CHF row, and the GPF row where the version has changed."""
    if not after:
        return
    rows = (
        (
            line.record.hub,
            line.record.firmware,
            line.firmware_at,
            line.record.smi_version,
            line.alert_release,
            line.alert_counter,
            line.read_release,
            line.read_counter,
        )
        for line in after
    )
    await tx.execute(_SQL["update_observed"], *_columns(rows))
    gpfs = [
        (line.gpf, line.record.firmware)
        for line in after
        if line.gpf is not None and line.record.firmware != before[line.record.hub].record.firmware
    ]
    if gpfs:
        await tx.execute(_SQL["update_gpf_firmware"], *_columns(gpfs))


def _line(row: asyncpg.Record) -> Line:
    return Line(
        record=hub_record(row),
        gpf=row["gpf"],
        status_since=row["status_since"],
        firmware_at=row["firmware_at"],
        alert_release=row["alert_release"],
        alert_counter=row["alert_counter"],
        read_release=row["read_release"],
        read_counter=row["read_counter"],
    )


def _columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _full(line: Line) -> tuple[Any, ...]:
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
