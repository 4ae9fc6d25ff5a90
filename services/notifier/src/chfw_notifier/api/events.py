"""/v1/events: a Party's feed, in its own order, to be read at any time from any place."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from chfw_common.runtime.http.callers import Caller, caller
from chfw_common.runtime.http.commands import Commands, commands
from chfw_common.runtime.http.paging import read_cursor, write_cursor
from chfw_common.runtime.http.queries import WholeNumber
from chfw_notifier.api.shapes import FeedView
from chfw_notifier.stages import enrol, report

FEED_LIMIT = 1_000

router = APIRouter(prefix="/v1/events", tags=["feed"])


@router.get("", operation_id="listEvents", responses={200: {"model": FeedView}})
async def listing(
    who: Annotated[Caller, Depends(caller)],
    work: Annotated[Commands, Depends(commands)],
    after: str | None = None,
    limit: Annotated[WholeNumber, Query(ge=1, le=FEED_LIMIT)] = 100,
) -> dict[str, Any]:
    """What the caller's Party was told after `after`, at most `limit` and about 4 MiB. Answers at once.

    Go on from `next`; an empty page is the end.
    """
    start = read_cursor(after) or 0
    await work.run(enrol.command, who, who)
    async with work.reading(who) as tx:
        events, following = await report.feed(tx, who.party, after=start, limit=limit)
    return {"events": events, "next": write_cursor(following)}
