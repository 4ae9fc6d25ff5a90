"""Activate: armed hubs act by themselves at their time, never before it, and raise an alert that may get lost."""

from collections.abc import Sequence
from functools import partial

from chfw_common.events.alert import ALERT_FAILURE, ALERT_SUCCESS, AlertItem
from chfw_common.kernel.instants import Instant, ceil_to_grid
from chfw_common.runtime.dues import earliest, parts_due
from chfw_common.runtime.service import Now, Outgoing, Pieces, Taken, Tick, Tx, Work, due_tick
from chfw_device_sim.domain.cs06 import Due, Executed, execute
from chfw_device_sim.domain.fate import SUCCESS
from chfw_device_sim.stages.network import Network
from chfw_device_sim.stages.say import Said, alert
from chfw_device_sim.store import command, later


async def next_due(tx: Tx, _: Instant) -> Instant | None:
    """When the next armed hub acts."""
    return earliest(await command.dues(tx))


async def take(network: Network, tx: Tx, now: Now, limit: int) -> Taken | None:
    """Let armed hubs act, from the partition on where one is due first; see `deliver.take`."""
    parts = parts_due(await command.dues(tx), looked := now())
    if not parts:
        return None
    due = await command.lock_activations(tx, parts, looked, limit)
    return Taken([{"hub": entry.hub} for entry in due], partial(_act, network, tx, due, now), len(due) in (0, limit))


async def put_off(tx: Tx, work: Work, until: Instant) -> None:
    """Let a hub act at another time."""
    await command.put_off(tx, work["hub"], until)


def tick(network: Network) -> Tick:
    """The tick of this stage."""
    return due_tick("activate", Pieces(partial(take, network), put_off), next_due)


async def _act(network: Network, tx: Tx, due: Sequence[Due], now: Now) -> list[Outgoing]:
    if not due:
        return []
    fate, at = network.radio.fate, now()
    executed = [execute(entry, fate, at) for entry in due]
    await command.end_activations(tx, executed, at)
    raised: list[Said[AlertItem]] = []
    kept: list[later.Later] = []
    for entry, done in zip(due, executed, strict=True):
        if not done.alert_at:
            continue
        word = Said(entry.armed_release, entry.part, _alert(entry, done, at))
        if done.alert_at[0] == at:
            raised.append(word)
        kept += [word.later(ceil_to_grid(heard, network.radio.grid)) for heard in done.alert_at if heard > at]
    await later.put(tx, kept)
    return alert(raised)


def _alert(due: Due, done: Executed, now: Instant) -> AlertItem:
    return AlertItem(
        hub=due.hub,
        alert_code=ALERT_SUCCESS if done.outcome == SUCCESS else ALERT_FAILURE,
        alert_counter=done.alert_counter,
        command_counter=due.armed_counter,
        outcome=done.outcome,
        firmware=done.firmware,
        executed_at=now,
    )
