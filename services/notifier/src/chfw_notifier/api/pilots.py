"""/v1/releases/{id}/pilot:preview: let rules choose a pilot, look at it, and instruct it or not."""

import asyncio
import re
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BeforeValidator, Field, WithJsonSchema

from chfw_common.runtime.http.callers import Caller, supplier
from chfw_common.runtime.http.commands import Commands, commands
from chfw_common.runtime.http.ids import ReleaseInPath
from chfw_common.runtime.http.json_route import REFUSALS, SMALL, JsonRoute, takes
from chfw_common.runtime.http.problems import problems
from chfw_common.runtime.http.shapes import Shape
from chfw_notifier.api.shapes import PilotView
from chfw_notifier.api.texts import Codes, Text, Texts
from chfw_notifier.domain.pilot import Candidate, Rules, choose
from chfw_notifier.stages import preview

router = APIRouter(prefix="/v1/releases", tags=["pilot"], route_class=JsonRoute)


_SHARE = r"(0|1|[01]?\.[0-9]{1,11})"


def _read_share(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, str) and re.fullmatch(_SHARE, value) is None):
        raise ValueError("a share is a number above 0 and up to 1, as in 0.02")
    return value


Share = Annotated[
    Decimal,
    Field(gt=0, le=1, max_digits=12),
    BeforeValidator(_read_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                {"type": "string", "pattern": f"^{_SHARE}$"},
            ]
        }
    ),
]


class RulesBody(Shape):
    """The rules. The smallest of share (rounded up), size and the room left to the Party counts."""

    share: Share | None = None
    size: Annotated[int, Field(ge=1, le=250_000, strict=True)] | None = None
    regions: Texts = ()
    models: Codes = ()
    seed: Text | None = None
    stratified: Annotated[bool, Field(strict=True)] = True


@router.post(
    "/{release_id}/pilot:preview",
    operation_id="previewPilot",
    openapi_extra=takes(SMALL),
    responses={200: {"model": PilotView}, **REFUSALS, **problems(404, 409)},
)
async def post(
    who: Annotated[Caller, Depends(supplier)],
    release_id: ReleaseInPath,
    body: RulesBody,
    work: Annotated[Commands, Depends(commands)],
) -> dict[str, Any]:
    """The hubs these rules choose from those of the caller's User ID that intake takes in a pilot list now.

    The same seed over the same hubs chooses the same.
    """
    wish = preview.Wish(
        caller=who,
        release_id=release_id,
        share=body.share,
        size=body.size,
        regions=body.regions,
        models=body.models,
        seed=body.seed or "",
        stratified=body.stratified,
    )
    async with work.reading(who) as tx:
        candidates, rules = await preview.load(tx, wish, work.now())
    # Off the loop: a lot for each hub of a large estate takes longer than anybody else should wait.
    return await asyncio.to_thread(_chosen, candidates, rules)


def _chosen(candidates: list[Candidate], rules: Rules) -> dict[str, Any]:
    return preview.render(choose(candidates, rules))
