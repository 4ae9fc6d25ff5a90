"""Activate: armed hubs act at their time, never before it, and raise an alert that may get lost."""

from typing import NamedTuple

from chfw_common.events.alert import ALERT_FAILURE, ALERT_SUCCESS, AlertItem, Cs06Alert
from chfw_common.kernel.ids import ReleaseId, hub_key
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import Outgoing, TickResult, Tx, hub_events
from chfw_common.topology import CS06_ALERT
from chfw_device_sim.domain.cs06 import Due, Executed, execute
from chfw_device_sim.domain.fate import SUCCESS
from chfw_device_sim.stages.network import Network
from chfw_device_sim.store import command


async def next_due(tx: Tx, _: Instant) -> Instant | None:
    """When the next armed hub acts."""
    earliest = await command.next_due(tx)
    return None if earliest is None else earliest[1]


async def tick(network: Network, tx: Tx, now: Instant) -> TickResult:
    """Let up to a chunk of armed hubs act, all in the partition where one is due first."""
    earliest = await command.next_due(tx)
    if earliest is None or earliest[1] > now:
        return TickResult()
    due = await command.lock_activations(tx, earliest[0], now)
    if not due:
        return TickResult(more=True)
    executed = [execute(entry, network.fate) for entry in due]
    await command.end_activations(tx, executed, now)
    alerts: dict[ReleaseId, list[tuple[int, bytes, AlertItem]]] = {}
    for entry, done in zip(due, executed, strict=True):
        if done.alert_sent:
            rows = alerts.setdefault(entry.armed_release, [])
            rows.append((entry.part, hub_key(entry.hub), _alert(entry, done, now)))
    outgoing: list[Outgoing] = []
    for release_id, rows in alerts.items():
        outgoing += hub_events(CS06_ALERT, rows, _Alert(release_id).event)
    return TickResult(outgoing, more=True)


class _Alert(NamedTuple):
    release_id: ReleaseId

    def event(self, items: tuple[AlertItem, ...]) -> Cs06Alert:
        return Cs06Alert(release_id=self.release_id, items=items)


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
