"""Commands that hubs have obeyed, and activations they do by themselves."""

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from chfw_common.kernel.ids import HubId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.columns import columns
from chfw_common.runtime.dues import PartDue
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_common.runtime.updates import kinds_of, named, update_rows
from chfw_common.topology import HUB_PARTITIONS
from chfw_device_sim.domain.cs06 import Answer, Armed, Due, Executed, Hub, Receipt
from chfw_device_sim.domain.fate import SUCCESS

_SQL = load_queries("chfw_device_sim.store", "command.sql")
_OBEYED = kinds_of(
    "hub:bigint counter:bigint receipt_kind:text receipt_release:text receipt_epoch:bigint receipt_at:timestamptz"
    " receipt_reason:text receipt_firmware:text armed_release:text armed_hash:text armed_counter:bigint"
    " activate_at:timestamptz executed_counter:bigint"
)
_ANSWERS = {answer.value: answer for answer in Answer}
_NOTHING_ARMED = (None, None, None, None)


async def lock(tx: Tx, hubs: Iterable[HubId]) -> dict[HubId, Hub]:
    """What the known ones of these hubs know of commands."""
    rows = await tx.fetch(_SQL["lock_commanded"], sorted(set(hubs)))
    return {row[0]: _hub(row) for row in rows}


async def save(tx: Tx, hubs: Sequence[Hub]) -> None:
    """Write hubs that have obeyed a command."""
    if hubs:
        hub, *changed = named(_OBEYED, map(_row, hubs))
        await update_rows(tx, "device", [hub], changed)


async def dues(tx: Tx) -> list[PartDue]:
    """When the earliest armed activation of each partition is due, the earliest first."""
    return [PartDue._make(row) for row in await tx.fetch(_SQL["activations_due"], HUB_PARTITIONS)]


async def lock_activations(tx: Tx, parts: Sequence[int], now: Instant, limit: int) -> list[Due]:
    """The hubs of these partitions whose time has come, one partition after the other, up to the limit."""
    rows = await tx.fetch(_SQL["lock_activations"], parts, now, limit)
    return [Due._make(due) for *due, at in rows if at is not None and at <= now]


async def end_activations(tx: Tx, executed: Sequence[Executed], now: Instant) -> None:
    """Write what the hubs did."""
    rows = (
        (entry.hub, entry.outcome == SUCCESS, entry.firmware, entry.alert_counter, entry.attempt, entry.restarts_until)
        for entry in executed
    )
    keeps_image = [entry.keeps_image for entry in executed]
    await tx.execute(_SQL["end_activations"], *columns(rows), now, keeps_image)


async def put_off(tx: Tx, hub: HubId, until: Instant) -> None:
    """Let a hub that is armed act at another time."""
    await tx.execute(_SQL["put_off_activation"], hub, until)


def _hub(row: asyncpg.Record) -> Hub:
    (
        hub, part, region, firmware, counter, kind, release_id, epoch, at, reason, told_firmware,
        armed_release, armed_hash, armed_counter, activate_at, executed_counter, activated_release, restarts_until,
    ) = row  # fmt: skip
    receipt = armed = None
    if kind is not None:
        receipt = Receipt(_ANSWERS[kind], release_id, counter, epoch, at, reason, told_firmware)
    if armed_release is not None:
        armed = Armed(armed_release, armed_hash, armed_counter, activate_at)
    return Hub(
        hub, part, region, firmware, counter, receipt, armed, executed_counter, activated_release, restarts_until
    )


def _row(hub: Hub) -> tuple[Any, ...]:
    receipt = hub.receipt
    answer: tuple[Any, ...] = (None,) * 6
    if receipt is not None:
        answer = (
            receipt.kind.value, receipt.release_id, receipt.epoch, receipt.at, receipt.reason, receipt.firmware
        )  # fmt: skip
    return (hub.hub, hub.counter, *answer, *(hub.armed or _NOTHING_ARMED), hub.executed_counter)
