"""Observe: what hubs say of themselves changes the inventory, and nothing else changes a version (I18, R4-6).

A version that changes ends the suspension of the hub (ADR 0057).
"""

from collections.abc import Sequence

from chfw_common.events.alert import Cs06Alert
from chfw_common.events.response import HubResponse, ResponseKind
from chfw_common.events.smi import CauseKind, SmiCause
from chfw_common.kernel.hubs import DeviceStatus
from chfw_common.kernel.ids import HubId
from chfw_common.runtime.service import Batch, Now, Outcome, Tx
from chfw_smi.domain.inventory import Heard, Observation, Sight, observe, restores
from chfw_smi.stages.tell import tell_heard
from chfw_smi.store import anomaly, hub, status


async def handle_alerts(tx: Tx, batch: Batch[Cs06Alert], now: Now) -> Outcome:
    """Take CS06 alerts, of success and of failure."""
    seen = [
        Observation(
            hub=item.hub,
            sight=Sight.ALERT,
            release_id=event.release_id,
            own_counter=item.alert_counter,
            command_counter=item.command_counter,
            firmware=item.firmware,
            at=item.executed_at,
            outcome=item.outcome,
        )
        for event in batch.events
        for item in event.items
    ]
    return await _apply(tx, seen, [], now)


async def handle_responses(tx: Tx, batch: Batch[HubResponse], now: Now) -> Outcome:
    """Take the version reads among the responses; the rest is not for the inventory."""
    reads = [
        (event.release_id, item)
        for event in batch.events
        for item in event.items
        if item.kind is ResponseKind.VERSION_READ
    ]
    seen = [
        Observation(
            hub=item.hub,
            sight=Sight.READ,
            release_id=release_id,
            own_counter=item.counter,
            command_counter=item.counter,
            firmware=item.firmware,
            at=item.at,
        )
        for release_id, item in reads
        if item.counter is not None and item.firmware is not None
    ]
    incomplete = [
        anomaly.Anomaly(anomaly.NO_COUNTER, item.hub, release_id, item.counter or 0)
        for release_id, item in reads
        if item.counter is None or item.firmware is None
    ]
    return await _apply(tx, seen, incomplete, now)


async def _apply(tx: Tx, seen: Sequence[Observation], odd: Sequence[anomaly.Anomaly], now: Now) -> Outcome:
    if not seen and not odd:
        return Outcome()
    before = await hub.lock_heard(tx, [entry.hub for entry in seen])
    fixed_of = {entry: known[0] for entry, known in before.items()}
    changed: dict[HubId, Heard] = {}
    restored: dict[HubId, status.Restored] = {}
    told: list[tuple[hub.Fixed, Heard, SmiCause]] = []
    unknown: list[anomaly.Anomaly] = []
    for entry in seen:
        known = before.get(entry.hub)
        if known is None:
            unknown.append(anomaly.Anomaly(anomaly.UNKNOWN_HUB, entry.hub, entry.release_id, entry.own_counter))
            continue
        last = changed.get(entry.hub, known[1])
        after = observe(last, entry)
        if after is not None:
            if restores(DeviceStatus(fixed_of[entry.hub].status), last, after):
                restored[entry.hub] = status.Restored(entry.hub, after.smi_version, entry.at)
                fixed_of[entry.hub] = fixed_of[entry.hub]._replace(status=status.RESTORED_TO.value)
            changed[entry.hub] = after
            told.append((fixed_of[entry.hub], after, _cause(entry)))
    await hub.save_heard(tx, changed)
    await status.restore(tx, list(restored.values()))
    await anomaly.record(tx, [*odd, *unknown], now())
    return Outcome(tell_heard(told))


def _cause(seen: Observation) -> SmiCause:
    kind = CauseKind.ALERT if seen.sight is Sight.ALERT else CauseKind.READ
    return SmiCause(
        kind=kind, at=seen.at, release_id=seen.release_id, counter=seen.command_counter, outcome=seen.outcome
    )
