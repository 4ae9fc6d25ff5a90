"""Activate: armed hubs act by themselves at their time, never before it, and raise an alert that may get lost."""

from chfw_common.events.alert import ALERT_FAILURE, ALERT_SUCCESS, AlertItem
from chfw_common.kernel.instants import Instant, ceil_to_grid
from chfw_common.runtime.dues import earliest, parts_due
from chfw_common.runtime.service import Now, TickResult, Tx
from chfw_common.topology import CHUNK
from chfw_device_sim.domain.cs06 import Due, Executed, execute
from chfw_device_sim.domain.fate import SUCCESS
from chfw_device_sim.stages.network import Network
from chfw_device_sim.stages.say import Said, alert
from chfw_device_sim.store import command, later


async def next_due(tx: Tx, _: Instant) -> Instant | None:
    """When the next armed hub acts."""
    return earliest(await command.dues(tx))


async def tick(network: Network, tx: Tx, now: Now) -> TickResult:
    """Let up to a chunk of armed hubs act, from the partition on where one is due first; see `deliver.tick`."""
    parts = parts_due(await command.dues(tx), looked := now())
    due = await command.lock_activations(tx, parts, looked) if parts else []
    if not due:
        return TickResult(more=bool(parts))
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
    return TickResult(alert(raised), more=len(due) == CHUNK)


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
