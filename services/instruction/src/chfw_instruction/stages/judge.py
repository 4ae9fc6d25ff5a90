"""Judge the entries of an accepted request, one stored chunk a step, and pass on the accepted ones."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from chfw_common.events.instruction import InstructionReceived
from chfw_common.kernel.hubs import HubFields
from chfw_common.kernel.ids import HubId
from chfw_common.published import scheduler, smi
from chfw_common.runtime.service import JobKind, JobStep, Now, Outgoing, Tx, hub_events
from chfw_common.topology import INSTRUCTION_RECEIVED
from chfw_instruction.domain import verdict
from chfw_instruction.domain.standing import standing
from chfw_instruction.domain.verdict import Verdict
from chfw_instruction.stages.progress import judged
from chfw_instruction.store import pilot, requests, standings
from chfw_instruction.store.requests import Known

STEP_COST = 500
"""What a step costs beside its entries, in entries: Parties take turns by cost."""


async def step(tx: Tx, args: dict[str, Any], cursor: dict[str, Any], now: Now) -> JobStep:
    """Judge the next chunk. Cursor, verdicts and events commit together, so a restart repeats nothing."""
    chunk = int(cursor.get("chunk", 0))
    request = await requests.lock(tx, UUID(args["request"]))
    hubs, duplicates = await requests.load_chunk(tx, request.id, chunk)
    known = await _look(tx, request, [hub for hub in hubs if hub is not None])
    verdicts = verdict.judge(request.asked, hubs, duplicates, known)
    accepted = [hub for hub, said in zip(hubs, verdicts, strict=True) if said is Verdict.ACCEPTED and hub is not None]
    await _move_pilot(tx, request, accepted)
    counted = Counter(request.counts)
    counted.update(said.value for said in verdicts)
    counts, at = dict(sorted(counted.items())), now()
    await requests.add_verdicts(tx, request, chunk, verdicts, counts, at)
    outgoing = _outgoing(request, accepted, known.inventory)
    cost = STEP_COST + len(verdicts)
    if request.answered + len(verdicts) < request.entries:
        return JobStep({"chunk": chunk + 1}, outgoing, cost)
    return JobStep(None, [*outgoing, judged(request, counts, at)], cost)


async def _look(tx: Tx, request: Known, hubs: Sequence[HubId]) -> verdict.Known:
    inventory = await smi.lookup_fields(tx, hubs)
    standing_of = {
        hub: found
        for hub, rows in (await standings.of_hubs(tx, hubs)).items()
        if (found := standing(request.release_id, rows)) is not None
    }
    known = verdict.Known(inventory, standing_of, shown=await _shown(tx, request, inventory))
    if request.asked.for_pilot:
        members, size = await pilot.lock(tx, request.release_id, request.party, hubs)
        return replace(known, pilot=members, pilot_size=size)
    if request.asked.depends_on_pilot:
        others = await pilot.named_by_others(tx, request.release_id, request.party, hubs)
        return replace(known, pilot=others)
    return known


async def _shown(tx: Tx, request: Known, inventory: Mapping[HubId, HubFields]) -> set[HubId]:
    """For which hubs the Party was shown the time that it agrees to: what was told of them, and what is proposed now.

    A Supplier may have read of a proposal that is still on its way to intake; the ledger has it already.
    """
    agreed = request.asked.time_agreed
    if agreed is None:
        return set()
    told = await standings.shown_to(tx, request.release_id, request.party, agreed, list(inventory))
    places = [(found.part, hub) for hub, found in inventory.items() if hub not in told]
    return told | await scheduler.proposed(tx, request.release_id, request.party, agreed, places)


async def _move_pilot(tx: Tx, request: Known, accepted: Sequence[HubId]) -> None:
    if request.asked.for_pilot:
        await pilot.enter(tx, request.release_id, request.party, accepted)
    else:
        await pilot.leave(tx, request.release_id, request.party, accepted)


def _outgoing(request: Known, accepted: Sequence[HubId], inventory: Mapping[HubId, HubFields]) -> Sequence[Outgoing]:
    def make(chunk: tuple[HubId, ...]) -> InstructionReceived:
        # Everything in it was read from typed rows a moment ago: it is not checked again, hub by hub.
        return InstructionReceived.model_construct(
            request_id=str(request.id),
            release_id=request.release_id,
            party=request.party,
            user_id=request.user_id,
            party_seq=request.party_seq,
            kind=request.kind,
            group=request.group,
            received_at=request.asked.received_at,
            activate_at=request.asked.activate_at,
            hubs=chunk,
        )

    return hub_events(INSTRUCTION_RECEIVED, [(inventory[hub].part, hub, hub) for hub in accepted], make)


JUDGE = JobKind(requests.JUDGE, step)
