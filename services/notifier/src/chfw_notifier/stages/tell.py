"""Tell each Party its own part of what happened; repeats are absorbed where it is kept.

What concerns a Party's own requests, and decisions, is told at once, a feed row each. What concerns hubs is gathered
for a quarter of an hour, so that a row shows nothing of its cause (see `release`).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from chfw_common.events.decision import RolloutDecision
from chfw_common.events.progressed import HubProgressed
from chfw_common.events.request import RequestProgressed
from chfw_common.events.rollout_progress import ProgressKind, RolloutProgressed
from chfw_common.events.smi import CauseKind, SmiHub, SmiUpdated
from chfw_common.kernel.coarse import QUARTER_HOUR, day_after, quarter_of
from chfw_common.kernel.ids import HubId, PartyId, ReleaseId, hub_eui64
from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.kernel.months import cut_off
from chfw_common.runtime.http.waves import show_waves
from chfw_common.runtime.service import Batch, Now, Outcome, Received, Tx
from chfw_notifier.domain.view import for_supplier, parties_of, told_of
from chfw_notifier.stages import enrol
from chfw_notifier.store import feeds, gathered, releases
from chfw_notifier.store.feeds import Told
from chfw_notifier.store.gathered import Heard
from chfw_notifier.store.releases import Word

_FORWARDED = frozenset({CauseKind.ALERT, CauseKind.READ})
PROGRESS, HUBS = "hub_progressed", "smi_updated"
"""What is told of hubs: how they stand in a release, and what the inventory heard of them."""


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
    await enrol.ensure(tx, dict.fromkeys(named, enrol.SUPPLIER), now())
    due = _next_quarter(now())
    heard: list[Heard] = []
    for message in batch.messages:
        heard += _progress(message, await _news_of_lapses(tx, message.event), batch.partition, due)
    await gathered.gather(tx, heard)
    return Outcome()


async def handle_smi(tx: Tx, batch: Batch[SmiUpdated], now: Now) -> Outcome:
    """Know the Parties the inventory names; forward alerts and read versions to them (R4-6, A-7, A-8)."""
    named = {one.party for event in batch.events for item in event.items for one in item.responsible}
    await enrol.ensure(tx, dict.fromkeys(sorted(named), enrol.SUPPLIER), now())
    due = _next_quarter(now())
    await gathered.gather(tx, [one for message in batch.messages for one in _forwarded(message, batch.partition, due)])
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
    """Tell every Party of the release how it stands as a whole (R2-5, R2-7).

    Suppliers are told totals once a day: those of every hour would show when, and of how many hubs, another one has
    said something. What follows a decision they are told at once, as everybody is.
    """
    await feeds.lock_fan_out(tx)
    at = now()
    told: list[Told] = []
    heard: list[Heard] = []
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
        rows = await _everybody(tx, message.event_id, enrol.PROGRESS, progress.release_id, at, payload)
        suppliers = await feeds.suppliers_among(tx, [row.party for row in rows])
        rows = [replace(row, payload=for_supplier(payload)) if row.party in suppliers else row for row in rows]
        if progress.kind is ProgressKind.TOTALS:
            heard += [_at_midnight(row, at) for row in rows if row.party in suppliers]
            rows = [row for row in rows if row.party not in suppliers]
        else:
            # Its totals are newer than all that were to be told at midnight.
            heard = [one for one in heard if one.release_id != progress.release_id]
            await gathered.drop(tx, progress.release_id, enrol.PROGRESS)
        told += rows
    await feeds.append(tx, told)
    await gathered.gather(tx, heard)
    return Outcome()


def _at_midnight(row: Told, at: Instant) -> Heard:
    due = day_after(at)
    payload = {**row.payload, "at": format_instant(due)}
    return Heard(row.party, row.event_id, row.kind, row.release_id, 0, due, payload, 1)


def _next_quarter(at: Instant) -> Instant:
    return quarter_of(at) + QUARTER_HOUR


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


def _progress(
    message: Received[HubProgressed], news: set[tuple[HubId, PartyId]], part: int, due: Instant
) -> list[Heard]:
    event = message.event
    heard = []
    for party, groups in told_of(event.items, news).items():
        payload = {"firmware": event.firmware, "progress": [(dict(view), hubs) for view, hubs in groups]}
        count = sum(len(hubs) for _, hubs in groups)
        heard.append(Heard(party, message.event_id, PROGRESS, event.release_id, part, due, payload, count))
    return heard


def _forwarded(message: Received[SmiUpdated], part: int, due: Instant) -> list[Heard]:
    views: dict[tuple[PartyId, ReleaseId | None], list[dict[str, object]]] = {}
    for item in message.event.items:
        if item.cause.kind in _FORWARDED:
            for party in sorted({one.party for one in item.responsible}):
                views.setdefault((party, item.cause.release_id), []).append(_smi_view(item))
    return [
        Heard(party, message.event_id, HUBS, release_id, part, due, {"hubs": hubs}, len(hubs))
        for (party, release_id), hubs in views.items()
    ]


def _smi_view(item: SmiHub) -> dict[str, object]:
    return {
        "hub": hub_eui64(item.hub),
        "firmware": item.firmware,
        "cause": item.cause.kind.value,
        "release_id": item.cause.release_id,
        "outcome": item.cause.outcome,
        "at": format_instant(quarter_of(item.cause.at)),
    }
