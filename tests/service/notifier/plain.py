"""The plain way to tell progress, as it was at first: what the present way is measured and checked against."""

from typing import Any

import orjson

from chfw_common.events.progressed import HubProgress, HubProgressed
from chfw_common.kernel.ids import PartyId, hub_eui64
from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.kernel.rollout import AnswerKind
from chfw_common.runtime.service import Batch, Tx


async def tell_plainly(tx: Tx, batch: Batch[HubProgressed], now: Instant) -> None:
    """One view after the other, and a statement for each thought. Lapses are left out."""
    parties = sorted({party for event in batch.events for item in event.items for party in item.answers})
    await tx.fetch("select party from party where party = any($1::text[]) order by party", parties)
    told = [row for message in batch.messages for row in _rows(message.event_id, message.event, now)]
    locked = await tx.fetch(
        "select party, last_seq from party where party = any($1::text[]) order by party for update", parties
    )
    last = {row["party"]: row["last_seq"] for row in locked}
    before = await tx.fetch(
        """select f.party, f.event_id from unnest($1::text[], $2::uuid[]) asked(party, event_id)
           join feed f using (party, event_id)""",
        [row[0] for row in told],
        [row[1] for row in told],
    )
    seen = {(row["party"], row["event_id"]) for row in before}
    records = []
    for party, *rest in told:
        if (party, rest[0]) not in seen:
            last[party] += 1
            records.append((party, last[party], *rest, len(rest[-1].encode())))
    await tx.copy_records_to_table(
        "feed", columns=["party", "seq", "event_id", "kind", "release_id", "at", "payload", "size"], records=records
    )
    await tx.execute(
        """update party set last_seq = moved.last_seq
           from unnest($1::text[], $2::bigint[]) moved(party, last_seq) where party.party = moved.party""",
        list(last.keys()),
        list(last.values()),
    )


def _rows(event_id: Any, event: HubProgressed, now: Instant) -> list[tuple[Any, ...]]:
    views: dict[PartyId, list[dict[str, Any]]] = {}
    for item in event.items:
        for party in sorted(item.answers):
            views.setdefault(party, []).append(_view(party, item))
    return [
        (
            party,
            event_id,
            "hub_progressed",
            event.release_id,
            now,
            orjson.dumps({"firmware": event.firmware, "hubs": hubs}).decode(),
        )
        for party, hubs in sorted(views.items())
    ]


def _view(party: PartyId, item: HubProgress) -> dict[str, Any]:
    instructed = frozenset({AnswerKind.INSTRUCT, AnswerKind.AGREE})
    others = [answer for other, answer in item.answers.items() if other != party]
    own = item.answers[party]
    return {
        "hub": hub_eui64(item.hub),
        "state": item.state.value,
        "reason": item.reason,
        "activate_at": None if item.activate_at is None else format_instant(item.activate_at),
        "answer_by": None if item.answer_by is None else format_instant(item.answer_by),
        "proposed_at": None if item.proposed_at is None else format_instant(item.proposed_at),
        "pilot": item.pilot,
        "answer": None if own is None else own.value,
        "lapsed": party in item.lapsed,
        "second_supplier": bool(others),
        "second_has_instructed": any(answer in instructed for answer in others),
    }
