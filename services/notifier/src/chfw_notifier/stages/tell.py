"""Tell each Party its own part of what happened. One feed row per Party and event; repeats are absorbed there."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from chfw_common.events.decision import RolloutDecision
from chfw_common.events.progressed import HubProgressed
from chfw_common.events.request import RequestProgressed
from chfw_common.events.rollout_progress import RolloutProgressed
from chfw_common.events.smi import CauseKind, SmiHub, SmiUpdated
from chfw_common.kernel.ids import HubId, PartyId, ReleaseId, hub_eui64
from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.kernel.months import cut_off
from chfw_common.runtime.http.waves import show_waves
from chfw_common.runtime.service import Batch, Now, Outcome, Received, Tx
from chfw_notifier.domain.view import parties_of, told_of
from chfw_notifier.stages import enrol
from chfw_notifier.store import feeds, releases
from chfw_notifier.store.feeds import Told
from chfw_notifier.store.releases import Word

_FORWARDED = frozenset({CauseKind.ALERT, CauseKind.READ})


async def handle_request(tx: Tx, batch: Batch[RequestProgressed], now: Now) -> Outcome:
    """Tell a Party that its request was accepted, and what came of it (R4-1, R4-2). Nobody else hears of it."""
    await _lock(tx, sorted({event.party for event in batch.events}), now())
    at = now()
    await feeds.append_locked(tx, [_request(message, at) for message in batch.messages])
    return Outcome()


async def handle_progress(tx: Tx, batch: Batch[HubProgressed], now: Now) -> Outcome:
    """Tell every Party of a hub how it stands, each in its own view (R2-6, R3-4, R4-0).

    The busiest handler of all: when every Party is known and nobody's instruction has lapsed, it takes two statements.
    """
    named = parties_of(item for event in batch.events for item in event.items)
    await _lock(tx, named, now())
    at = now()
    told: list[Told] = []
    for message in batch.messages:
        told += _progress(message, await _news_of_lapses(tx, message.event), at)
    await feeds.append_locked(tx, told)
    return Outcome()


async def handle_smi(tx: Tx, batch: Batch[SmiUpdated], now: Now) -> Outcome:
    """Know the Parties the inventory names; forward alerts and read versions to them (R4-6, A-7, A-8)."""
    named = {one.party for event in batch.events for item in event.items for one in item.responsible}
    await enrol.ensure(tx, dict.fromkeys(sorted(named), enrol.SUPPLIER), now())
    at = now()
    await feeds.append(tx, [row for message in batch.messages for row in _forwarded(message, at)])
    return Outcome()


async def handle_decision(tx: Tx, batch: Batch[RolloutDecision], now: Now) -> Outcome:
    """Tell every Party of the release what was decided (R5-6), and keep what is in force."""
    await feeds.lock_fan_out(tx)
    at = now()
    told: list[Told] = []
    for message in batch.messages:
        decision = message.event
        payload: dict[str, Any] = {
            "mode": decision.mode.value,
            "epoch": decision.epoch,
            "automatic_date": format_instant(decision.automatic_date),
            "cut_off": format_instant(cut_off(decision.automatic_date)),
            "waves": show_waves(decision.waves),
            "reason": decision.reason,
            "without_pilot": decision.without_pilot,
            "decided_at": format_instant(decision.decided_at),
        }
        await releases.move(tx, decision, Word(message.event_id, payload))
        told += await _everybody(tx, message.event_id, enrol.DECISION, decision.release_id, at, payload)
    await feeds.append(tx, told)
    return Outcome()


async def handle_totals(tx: Tx, batch: Batch[RolloutProgressed], now: Now) -> Outcome:
    """Tell every Party of the release how it stands as a whole (R2-5, R2-7)."""
    await feeds.lock_fan_out(tx)
    at = now()
    told: list[Told] = []
    for message in batch.messages:
        progress = message.event
        payload: dict[str, Any] = {
            "milestone": progress.kind.value,
            "epoch": progress.epoch,
            "at": format_instant(progress.at),
            "totals": {state.value: hubs for state, hubs in sorted(progress.totals.items())},
            "at_risk": progress.at_risk,
        }
        await releases.keep_progress(tx, progress.release_id, progress.at, Word(message.event_id, payload))
        told += await _everybody(tx, message.event_id, enrol.PROGRESS, progress.release_id, at, payload)
    await feeds.append(tx, told)
    return Outcome()


async def _everybody(
    tx: Tx, event_id: UUID, kind: str, release_id: ReleaseId, now: Instant, payload: dict[str, Any]
) -> list[Told]:
    parties = await releases.parties_of(tx, release_id)
    return [Told(party, event_id, kind, release_id, now, payload) for party in parties]


async def _lock(tx: Tx, suppliers: Sequence[PartyId], now: Instant) -> None:
    """Lock the feeds of Suppliers; who is new joins before."""
    if not await feeds.lock_parties(tx, suppliers):
        await enrol.ensure(tx, dict.fromkeys(suppliers, enrol.SUPPLIER), now)
        await feeds.lock_parties(tx, suppliers)


def _request(message: Received[RequestProgressed], now: Instant) -> Told:
    request = message.event
    payload: dict[str, Any] = {
        "request_id": request.request_id,
        "kind": request.kind.value,
        "group": request.group.value,
        "activate_at": None if request.activate_at is None else format_instant(request.activate_at),
        "received_at": format_instant(request.received_at),
        "party_seq": request.party_seq,
        "entries": request.entries,
    }
    if request.done_at is None:
        return Told(request.party, message.event_id, "instruction_received", request.release_id, now, payload)
    payload |= {"verdicts": request.verdicts, "done_at": format_instant(request.done_at)}
    return Told(request.party, message.event_id, "instruction_judged", request.release_id, now, payload)


async def _news_of_lapses(tx: Tx, event: HubProgressed) -> set[tuple[HubId, PartyId]]:
    gone = [
        (hub, party) for item in event.items for party in item.lapsed if party not in item.answers for hub in item.hubs
    ]
    return await feeds.tell_lapses(tx, event.release_id, gone)


def _progress(message: Received[HubProgressed], news: set[tuple[HubId, PartyId]], now: Instant) -> list[Told]:
    event = message.event
    told = told_of(event.items, news)
    data = {party: {"firmware": event.firmware, "progress": views} for party, views in told.items()}
    return [Told(party, message.event_id, "hub_progressed", event.release_id, now, data[party]) for party in data]


def _forwarded(message: Received[SmiUpdated], now: Instant) -> list[Told]:
    views: dict[PartyId, list[dict[str, object]]] = {}
    about: dict[PartyId, set[ReleaseId | None]] = {}
    for item in message.event.items:
        if item.cause.kind in _FORWARDED:
            for party in sorted({one.party for one in item.responsible}):
                views.setdefault(party, []).append(_smi_view(item))
                about.setdefault(party, set()).add(item.cause.release_id)
    return [
        Told(party, message.event_id, "smi_updated", _only(about[party]), now, {"hubs": hubs})
        for party, hubs in sorted(views.items())
    ]


def _smi_view(item: SmiHub) -> dict[str, object]:
    return {
        "hub": hub_eui64(item.hub),
        "firmware": item.firmware,
        "cause": item.cause.kind.value,
        "release_id": item.cause.release_id,
        "outcome": item.cause.outcome,
        "at": format_instant(item.cause.at),
    }


def _only(found: set[ReleaseId | None]) -> ReleaseId | None:
    return next(iter(found)) if len(found) == 1 else None
