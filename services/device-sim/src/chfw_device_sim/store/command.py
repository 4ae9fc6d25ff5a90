"""Commands that hubs have obeyed, and activations they do by themselves."""

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from chfw_common.kernel.ids import HubId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_common.topology import CHUNK, HUB_PARTITIONS
from chfw_device_sim.domain.cs06 import Answer, Armed, Due, Executed, Hub, Receipt
from chfw_device_sim.domain.fate import SUCCESS
from chfw_device_sim.store.columns import columns

_SQL = load_queries("chfw_device_sim.store", "command.sql")
_ANSWERS = {answer.value: answer for answer in Answer}
_NOTHING_ARMED = (None, None, None, None)


async def lock(tx: Tx, hubs: Iterable[HubId]) -> dict[HubId, Hub]:
    """What the known ones of these hubs know of commands."""
    rows = await tx.fetch(_SQL["lock_commanded"], sorted(set(hubs)))
    return {row[0]: _hub(row) for row in rows}


async def save(tx: Tx, hubs: Sequence[Hub]) -> None:
    """Write hubs that have obeyed a command."""
    if hubs:
        await tx.execute(_SQL["save_commanded"], *columns(map(_row, hubs)))


async def next_due(tx: Tx) -> tuple[int, Instant] | None:
    """The partition of the earliest armed activation, and when."""
    row = await tx.fetchrow(_SQL["next_activation"], HUB_PARTITIONS)
    return None if row is None else (row["part"], row["due"])


async def lock_activations(tx: Tx, part: int, now: Instant) -> list[Due]:
    """Up to a chunk of the hubs of a partition whose time has come."""
    rows = await tx.fetch(_SQL["lock_activations"], part, now, CHUNK)
    return [Due._make(due) for *due, at in rows if at is not None and at <= now]


async def end_activations(tx: Tx, executed: Sequence[Executed], now: Instant) -> None:
    """Write what the hubs did."""
    rows = (
        (entry.hub, entry.outcome == SUCCESS, entry.firmware, entry.alert_counter, entry.attempt) for entry in executed
    )
    await tx.execute(_SQL["end_activations"], *columns(rows), now)


def _hub(row: asyncpg.Record) -> Hub:
    receipt = armed = None
    if row["receipt_kind"] is not None:
        receipt = Receipt(
            kind=_ANSWERS[row["receipt_kind"]],
            release_id=row["receipt_release"],
            counter=row["counter"],
            epoch=row["receipt_epoch"],
            at=row["receipt_at"],
            reason=row["receipt_reason"],
            firmware=row["receipt_firmware"],
        )
    if row["armed_release"] is not None:
        armed = Armed(row["armed_release"], row["armed_hash"], row["armed_counter"], row["activate_at"])
    return Hub(
        hub=row["hub"],
        part=row["part"],
        region=row["region"],
        firmware=row["firmware"],
        counter=row["counter"],
        receipt=receipt,
        armed=armed,
        executed_counter=row["executed_counter"],
        activated_release=row["activated_release"],
    )


def _row(hub: Hub) -> tuple[Any, ...]:
    receipt = hub.receipt
    answer: tuple[Any, ...] = (None,) * 6
    if receipt is not None:
        answer = (
            receipt.kind.value, receipt.release_id, receipt.epoch, receipt.at, receipt.reason, receipt.firmware
        )  # fmt: skip
    return (hub.hub, hub.counter, *answer, *(hub.armed or _NOTHING_ARMED), hub.executed_counter)
