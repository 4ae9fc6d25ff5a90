"""Lists of a Supplier's own hubs in three forms: pages, NDJSON, CSV. /v1/estate is the whole estate (R4-3)."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from chfw_common.runtime.http.callers import Caller, supplier
from chfw_common.runtime.http.commands import Commands, commands
from chfw_common.runtime.http.lines import holds
from chfw_common.runtime.http.negotiation import list_form
from chfw_common.runtime.http.paging import CSV, NDJSON, VARY, Page, ndjson, read_cursor, write_cursor
from chfw_common.runtime.http.queries import WholeNumber
from chfw_common.runtime.service import Tx
from chfw_notifier.api.exports import Exports
from chfw_notifier.api.shapes import HUB_LIST
from chfw_notifier.stages import report
from chfw_notifier.store.estate import Scope

LIST_LIMIT = 10_000

Form = Annotated[str, Depends(list_form)]
Listing = dict[str, Any] | StreamingResponse
Own = Callable[[], AbstractAsyncContextManager[Tx]]
"""A transaction in which a Party reads what is its own."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and what is told with its answer."""

    request: Request
    response: Response


async def hub_list(
    form: str, asked: Asked, own: Own, exports: Exports, scope: Scope, *, after: str | None, limit: int
) -> Listing:
    """The hubs of a scope in a form, read as their Party; the response is told that the form was negotiated."""
    position = read_cursor(after)

    async def page(start: int | None, size: int = LIST_LIMIT) -> Page:
        async with own() as tx:
            return await report.own_hubs(tx, scope, after=start, limit=size)

    def all_of_it() -> AsyncGenerator[bytes, None]:
        return report.own_hubs_csv(exports.reading(own), scope)

    if form == CSV:
        return exports.csv(scope.party, holds(asked.request), all_of_it, scope.release_id or "estate")
    if form == NDJSON:
        return ndjson(page, position)
    asked.response.headers.update(VARY)
    hubs, following = await page(position, limit)
    return {"hubs": hubs, "next": None if following is None else write_cursor(following)}


def build_router(exports: Exports) -> APIRouter:
    """The route of the whole estate."""
    router = APIRouter(prefix="/v1/estate", tags=["estate"])

    @router.get("", operation_id="listEstate", response_model=None, responses=HUB_LIST)
    async def estate(
        who: Annotated[Caller, Depends(supplier)],
        work: Annotated[Commands, Depends(commands)],
        form: Form,
        request: Request,
        response: Response,
        after: str | None = None,
        limit: Annotated[WholeNumber, Query(ge=1, le=LIST_LIMIT)] = 1_000,
    ) -> Listing:
        own, asked = partial(work.reading, who), Asked(request, response)
        return await hub_list(form, asked, own, exports, Scope(who.party), after=after, limit=limit)

    return router
