"""Judge the entries of an accepted request, one stored chunk a step, and pass on the accepted ones."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from chfw_common.events.instruction import InstructionReceived
from chfw_common.kernel.hubs import HubRecord
from chfw_common.kernel.ids import HubId, hub_key
from chfw_common.kernel.instants import Instant
from chfw_common.published import smi
from chfw_common.runtime.service import JobKind, JobStep, Outgoing, Tx, hub_events
from chfw_common.topology import INSTRUCTION_RECEIVED
from chfw_instruction.domain.entries import Entry
from chfw_instruction.domain.verdict import Verdict, judge
from chfw_instruction.store import requests
from chfw_instruction.store.requests import Known

JOB = "judge"


async def step(tx: Tx, args: dict[str, Any], cursor: dict[str, Any], now: Instant) -> JobStep:
    """Judge the next chunk. Cursor, verdicts and events commit together, so a restart repeats nothing."""
    chunk = int(cursor.get("chunk", 0))
    known = await requests.lock(tx, UUID(args["request"]))
    entries = await requests.load_chunk(tx, known.id, chunk)
    hubs = await smi.lookup(tx, [entry.hub for entry in entries if entry.hub is not None and not entry.duplicate])
    by_date = known.asked.refused_by_date
    judged = [
        (entry, judge(known.asked, entry, hubs.get(entry.hub) if entry.hub is not None else None, by_date))
        for entry in entries
    ]
    counts = Counter(known.counts)
    counts.update(verdict.value for _, verdict in judged)
    await requests.add_verdicts(tx, known, judged, dict(sorted(counts.items())), now)
    finished = known.answered + len(judged) == known.entries
    return JobStep(None if finished else {"chunk": chunk + 1}, _outgoing(known, judged, hubs))


def _outgoing(
    known: Known, judged: Sequence[tuple[Entry, Verdict]], hubs: dict[HubId, HubRecord]
) -> Sequence[Outgoing]:
    accepted = [entry.hub for entry, verdict in judged if verdict is Verdict.ACCEPTED and entry.hub is not None]

    def make(chunk: tuple[HubId, ...]) -> InstructionReceived:
        return InstructionReceived(
            request_id=str(known.id),
            release_id=known.release_id,
            party=known.party,
            user_id=known.user_id,
            party_seq=known.party_seq,
            kind=known.kind,
            group=known.group,
            received_at=known.asked.received_at,
            activate_at=known.asked.activate_at,
            hubs=chunk,
        )

    return hub_events(INSTRUCTION_RECEIVED, [(hubs[hub].part, hub_key(hub), hub) for hub in accepted], make)


JUDGE = JobKind(JOB, step)
