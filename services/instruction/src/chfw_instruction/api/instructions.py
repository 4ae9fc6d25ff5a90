"""/v1/instructions: hand in, look up, download the verdicts."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from chfw_common.events.base import UtcInstant
from chfw_common.kernel.ids import ReleaseId, hub_eui64
from chfw_common.kernel.instants import format_instant
from chfw_common.kernel.rollout import AnswerKind, Group
from chfw_common.runtime.http.callers import Caller, supplier
from chfw_common.runtime.http.commands import Commands, commands
from chfw_common.runtime.http.idempotency import REPLAYED, digest_of, idempotency_key
from chfw_common.runtime.http.paging import Page, ndjson, read_cursor, wants_ndjson, write_cursor
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.service import Tx
from chfw_instruction.domain.entries import read_entries
from chfw_instruction.settings import Settings
from chfw_instruction.stages import accept, report

Supplier = Annotated[Caller, Depends(supplier)]
Work = Annotated[Commands, Depends(commands)]
Key = Annotated[str, Depends(idempotency_key)]
PAGE_LIMIT = 10_000


class InstructionBody(BaseModel):
    """What a Party says of hubs. A blank time states no preference."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: AnswerKind
    group: Group = Group.SAFE_LAUNCH
    activate_at: UtcInstant | None = None
    hubs: list[str]


def build_router(settings: Settings) -> APIRouter:
    """The routes of intake."""
    router = APIRouter(prefix="/v1", tags=["instructions"])

    @router.post("/releases/{release_id}/instructions", status_code=202, operation_id="instruct")
    async def instruct(
        release_id: str, body: InstructionBody, caller: Supplier, key: Key, work: Work, response: Response
    ) -> dict[str, Any]:
        # Off the loop: a quarter of a million ids take longer than anybody else should wait.
        submission = await asyncio.to_thread(_submission, ReleaseId(release_id), body, caller, key, settings)
        receipt = await work.run(accept.command, submission)
        response.headers["Location"] = f"/v1/instructions/{receipt.id}"
        response.headers.update(REPLAYED if receipt.replayed else {})
        return {
            "id": str(receipt.id),
            "state": "judging",
            "entries": receipt.entries,
            "received_at": format_instant(receipt.received_at),
        }

    @router.get("/instructions/{instruction_id}", operation_id="getInstruction")
    async def status(instruction_id: UUID, caller: Supplier, work: Work) -> dict[str, Any]:
        async with work.reading() as tx:
            return report.render(await _own(tx, instruction_id, caller))

    @router.get("/instructions/{instruction_id}/results", operation_id="listVerdicts", response_model=None)
    async def results(
        instruction_id: UUID,
        caller: Supplier,
        work: Work,
        request: Request,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 1_000,
    ) -> dict[str, Any] | StreamingResponse:
        position = read_cursor(after)

        async def page(start: int | None, size: int = PAGE_LIMIT) -> Page:
            async with work.reading() as tx:
                rows = await report.verdicts(tx, instruction_id, after=start, limit=size)
            shown = [{"pos": p, "hub": _eui(hub), "as_sent": raw, "verdict": v} for p, raw, hub, v in rows]
            return shown, (rows[-1][0] if len(rows) == size else None)

        async with work.reading() as tx:
            known = await _own(tx, instruction_id, caller)
        if wants_ndjson(request):
            return ndjson(page, position)
        items, _ = await page(position, limit)
        last = items[-1]["pos"] if items else position
        more = last is None or last + 1 < known.entries
        following = write_cursor(-1 if last is None else last) if more else None
        return {"state": report.state(known), "results": items, "next": following}

    return router


def _submission(
    release_id: ReleaseId, body: InstructionBody, caller: Caller, key: str, settings: Settings
) -> accept.Submission:
    return accept.Submission(
        caller=caller,
        key=key,
        digest=digest_of(body, release_id, caller.user_id),
        release_id=release_id,
        kind=body.kind,
        group=body.group,
        activate_at=body.activate_at,
        entries=read_entries(body.hubs),
        limit=settings.request_limit,
    )


async def _own(tx: Tx, instruction_id: UUID, caller: Caller) -> report.Known:
    known = await report.find(tx, instruction_id, caller.party)
    if known is None:
        raise Problem(404, "unknown_instruction", "No such instruction.")
    return known


def _eui(hub: Any) -> str | None:
    return None if hub is None else hub_eui64(hub)
