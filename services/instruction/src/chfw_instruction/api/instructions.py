"""/v1/instructions: hand in, look up, download the verdicts."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from chfw_common.kernel.ids import hub_eui64
from chfw_common.kernel.instants import format_instant
from chfw_common.kernel.rollout import AnswerKind, Group
from chfw_common.runtime.http.callers import Caller, supplier
from chfw_common.runtime.http.commands import Commands, commands
from chfw_common.runtime.http.idempotency import KEYED, REPLAYED, idempotency_key
from chfw_common.runtime.http.ids import InstantText, ReleaseInPath
from chfw_common.runtime.http.json_route import JSON, REFUSALS, takes
from chfw_common.runtime.http.negotiation import list_form
from chfw_common.runtime.http.paging import (
    CSV,
    NDJSON,
    VARY,
    Page,
    ndjson,
    read_cursor,
    write_cursor,
)
from chfw_common.runtime.http.problems import Problem, problems
from chfw_common.runtime.http.queries import WholeNumber
from chfw_common.runtime.service import Tx
from chfw_instruction.api.downloads import csv_response
from chfw_instruction.api.shapes import VERDICT_LIST, ProgressView, ReceiptView
from chfw_instruction.api.submissions import Arrival, InstructionBody, Terms, read_submission
from chfw_instruction.api.turnstile import Turnstile
from chfw_instruction.settings import Settings
from chfw_instruction.stages import accept, report
from chfw_instruction.stages.accept import Moment

Supplier = Annotated[Caller, Depends(supplier)]
Work = Annotated[Commands, Depends(commands)]
Key = Annotated[str, Depends(idempotency_key)]
Form = Annotated[str, Depends(list_form)]
PAGE_LIMIT = 10_000


# The two enums it refers to are in the document already: the query has them too.
_SCHEMA = InstructionBody.model_json_schema(ref_template="#/components/schemas/{model}")
_CONTENT = {
    JSON: {"schema": {name: value for name, value in _SCHEMA.items() if name != "$defs"}},
    NDJSON: {"schema": {"type": "string", "description": "A line an entry: a string, or an object with hub"}},
    CSV: {"schema": {"type": "string", "description": "A header with a column hub or device_id"}},
}


def _body(settings: Settings) -> dict[str, Any]:
    stated = takes(settings.body_limit)
    body = {**stated["requestBody"], "required": True, "content": _CONTENT}
    return {**KEYED, **stated, "requestBody": body}


def build_router(settings: Settings) -> APIRouter:
    """The routes of intake."""
    router = APIRouter(prefix="/v1", tags=["instructions"])
    turnstile = Turnstile(settings.large_bodies_at_once)

    @router.post(
        "/releases/{release_id}/instructions",
        status_code=202,
        operation_id="instruct",
        openapi_extra=_body(settings),
        responses={202: {"model": ReceiptView}, **REFUSALS, **problems(404, 409)},
    )
    async def instruct(
        caller: Supplier,
        release_id: ReleaseInPath,
        request: Request,
        key: Key,
        work: Work,
        response: Response,
        kind: AnswerKind | None = None,
        group: Group | None = None,
        activate_at: InstantText | None = None,
    ) -> dict[str, Any]:
        query = Terms(kind, group, activate_at)
        with turnstile.reading(request, caller.party):
            async with turnstile.line(caller.party), work.looking() as tx:
                moment = Moment(work.now(), work.machine_now())
                await accept.admit(tx, caller.party, key, settings.quota(caller.party), moment)
            arrival = Arrival(caller, key, moment.machine)
            submission = await read_submission(request, release_id, query, arrival, settings)
            async with turnstile.line(caller.party):
                receipt = await work.run(accept.command, submission, caller)
        response.headers["Location"] = f"/v1/instructions/{receipt.id}"
        response.headers.update(REPLAYED if receipt.replayed else {})
        return {
            "request_id": str(receipt.id),
            "state": "judging",
            "entries": receipt.entries,
            "received_at": format_instant(receipt.received_at),
        }

    _serve_reports(router)
    return router


def _serve_reports(router: APIRouter) -> None:
    @router.get(
        "/instructions/{request_id}",
        operation_id="getInstruction",
        responses={200: {"model": ProgressView}, **problems(404)},
    )
    async def status(request_id: UUID, caller: Supplier, work: Work, response: Response) -> dict[str, Any]:
        async with work.reading(caller) as tx:
            shown, seconds = await report.progress(tx, await _own(tx, request_id, caller), work.now())
        if seconds is not None:
            response.headers["Retry-After"] = str(seconds)
        return shown

    @router.get(
        "/instructions/{request_id}/results",
        operation_id="listVerdicts",
        response_model=None,
        responses={**VERDICT_LIST, **problems(404)},
    )
    async def results(
        request_id: UUID,
        caller: Supplier,
        work: Work,
        form: Form,
        response: Response,
        after: str | None = None,
        limit: Annotated[WholeNumber, Query(ge=1, le=PAGE_LIMIT)] = 1_000,
    ) -> dict[str, Any] | StreamingResponse:
        position = read_cursor(after)

        async def page(start: int | None, size: int = PAGE_LIMIT) -> Page:
            async with work.reading(caller) as tx:
                rows = await report.verdicts(tx, request_id, after=start, limit=size)
            shown = [{"pos": p, "hub": _eui(hub), "as_sent": raw, "verdict": v} for p, raw, hub, v in rows]
            return shown, (rows[-1][0] if len(rows) == size else None)

        async def part(chunk: int) -> report.Judged | None:
            async with work.reading(caller) as tx:
                return await report.judged(tx, request_id, chunk)

        async with work.reading(caller) as tx:
            known = await _own(tx, request_id, caller)
        if form == CSV:
            return csv_response(part, known.header, str(known.id))
        if form == NDJSON:
            return ndjson(page, position)
        response.headers.update(VARY)
        items, _ = await page(position, limit)
        last = items[-1]["pos"] if items else position
        more = last is None or last + 1 < known.entries
        following = write_cursor(-1 if last is None else last) if more else None
        return {"state": report.state(known), "results": items, "next": following}


async def _own(tx: Tx, request_id: UUID, caller: Caller) -> report.Known:
    known = await report.find(tx, request_id, caller.party)
    if known is None:
        raise Problem(404, "unknown_instruction", "No such instruction.")
    return known


def _eui(hub: Any) -> str | None:
    return None if hub is None else hub_eui64(hub)
