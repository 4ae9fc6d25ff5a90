"""/v1/releases/{id}/decisions: decide, and see what became of each decision."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, Field

from chfw_common.kernel.numbers import GREATEST_NUMBER
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import Mode
from chfw_common.runtime.http.callers import Admitted, Caller, dcc
from chfw_common.runtime.http.commands import Commands, commands
from chfw_common.runtime.http.idempotency import KEYED, REPLAYED, digest_of, idempotency_key
from chfw_common.runtime.http.ids import OptionalInstant, ReleaseInPath
from chfw_common.runtime.http.json_route import REFUSALS, JsonRoute, takes
from chfw_common.runtime.http.problems import problems
from chfw_common.runtime.http.shapes import Shape, Words
from chfw_common.runtime.http.waves import WaveBodies, WaveView
from chfw_governance.domain.decide import Notice, Proposal
from chfw_governance.settings import Settings
from chfw_governance.stages import decide

Dcc = Annotated[Caller, Depends(dcc)]
Overseer = Annotated[Caller, Depends(Admitted(Role.DCC, Role.PANEL))]
Work = Annotated[Commands, Depends(commands)]
Key = Annotated[str, Depends(idempotency_key)]
Text = Annotated[str, Words(2_000)]
DECISION = 256 << 10
"""Bytes of a decision: all the waves and regions it may state have 60 KB."""


class DecisionBody(Shape):
    """What the DCC wants. Dates that are not stated stay; waves are stated all or none.

    `expected_epoch` refuses it when another decision came first. `without_pilot` is the reason to run although no hub
    of the pilot has come to an end; everybody is told it.
    """

    mode: Mode
    reason: Text
    automatic_date: OptionalInstant = None
    waves: WaveBodies | None = None
    confirmed_by: Text | None = None
    without_pilot: Text | None = None
    expected_epoch: Annotated[int, Field(ge=0, le=GREATEST_NUMBER, strict=True)] | None = None


class DecisionView(Shape):
    """A decision, and what became of it. For the document: it is not checked at run time."""

    release_id: str
    epoch: int
    min_epoch: int
    mode: Mode
    automatic_date: AwareDatetime
    waves: list[WaveView]
    reason: str
    confirmed_by: str | None
    without_pilot: str | None
    decided_at: AwareDatetime
    state: Literal["requested", "fencing", "effective"]
    at_risk: int | None


class DecisionsView(Shape):
    """The decisions on a release by epoch."""

    decisions: list[DecisionView]


def _router() -> APIRouter:
    return APIRouter(prefix="/v1/releases", tags=["decisions"], route_class=JsonRoute)


def deciding(settings: Settings) -> APIRouter:
    """The route by which the DCC decides: for operators, so that it answers while the public address is full."""
    notice = Notice(settings.resume_notice, settings.soak)
    router = _router()

    @router.post(
        "/{release_id}/decisions",
        status_code=201,
        operation_id="decide",
        openapi_extra={**KEYED, **takes(DECISION)},
        responses={201: {"model": DecisionView}, **REFUSALS, **problems(404, 409)},
    )
    async def post(
        caller: Dcc, release_id: ReleaseInPath, body: DecisionBody, key: Key, work: Work, response: Response
    ) -> dict[str, Any]:
        request = decide.DecisionRequest(
            caller=caller,
            key=key,
            digest=digest_of(body, release_id),
            release_id=release_id,
            proposal=Proposal(
                mode=body.mode,
                reason=body.reason,
                automatic_date=body.automatic_date,
                waves=None if body.waves is None else tuple(stated.wave for stated in body.waves),
                confirmed_by=body.confirmed_by,
                without_pilot=body.without_pilot,
                expected_epoch=body.expected_epoch,
            ),
            notice=notice,
        )
        answer = await work.run(decide.command, request, caller)
        response.headers.update(REPLAYED if answer.replayed else {})
        return answer.body

    return router


def reading() -> APIRouter:
    """The route that shows decisions."""
    router = _router()

    @router.get(
        "/{release_id}/decisions",
        operation_id="listDecisions",
        responses={200: {"model": DecisionsView}, **problems(404)},
    )
    async def listing(caller: Overseer, release_id: ReleaseInPath, work: Work) -> dict[str, Any]:
        async with work.reading(caller) as tx:
            return {"decisions": await decide.listing(tx, release_id)}

    return router
