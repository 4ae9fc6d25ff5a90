"""/v1/releases: announce, revise, read the notices, list one's own eligible hubs."""

from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from chfw_common.events.release import CplEntry, CplState, Priority, ReleaseKind, Severity
from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.rollout import Rule
from chfw_common.runtime.http.callers import Caller, caller, dcc, supplier
from chfw_common.runtime.http.commands import Commands, commands
from chfw_common.runtime.http.idempotency import KEYED, REPLAYED, digest_of, idempotency_key
from chfw_common.runtime.http.ids import RELEASE_PATTERN, InstantText, OptionalInstant, ReleaseInPath, SpanText
from chfw_common.runtime.http.json_route import REFUSALS, SMALL, JsonRoute, takes
from chfw_common.runtime.http.problems import problems
from chfw_common.runtime.http.queries import WholeNumber
from chfw_common.runtime.http.shapes import Shape
from chfw_common.runtime.http.waves import WaveBodies
from chfw_notifier.api.estate import LIST_LIMIT, Asked, Form, Listing, hub_list
from chfw_notifier.api.exports import Exports
from chfw_notifier.api.shapes import HUB_LIST, AnnouncedView, NoticesView, NoticeView, SeenView
from chfw_notifier.api.texts import Code, Codes, Text, Texts
from chfw_notifier.settings import Settings
from chfw_notifier.stages import announce, report, revise
from chfw_notifier.store.estate import Scope

Dcc = Annotated[Caller, Depends(dcc)]
Supplier = Annotated[Caller, Depends(supplier)]
Anyone = Annotated[Caller, Depends(caller)]
Work = Annotated[Commands, Depends(commands)]
Key = Annotated[str, Depends(idempotency_key)]
NOTICE = 1 << 20
"""Bytes of a notice: its lists of codes and its waves, each at its longest, have 700 KB."""
Wait = Annotated[SpanText, Field(ge=timedelta(0), le=timedelta(days=183))]


def _no_flag(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a priority is a number")
    return value


# To Python true is 1.
StatedPriority = Annotated[Priority, BeforeValidator(_no_flag)]


class CplBody(Shape):
    """The entry of the Central Products List. Empty predecessors or GBCS versions allow any."""

    manufacturer: Code
    model: Code
    hardware: Annotated[Codes, Field(min_length=1)]
    firmware: Code
    image_hash: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{64}$"), AfterValidator(str.lower)]
    predecessors: Codes = ()
    gbcs_versions: Texts = ()
    state: CplState = "Active"


class ReleaseBody(Shape):
    """A release as the DCC announces it. Dates of the pilot default to 14 and 28 days after the notice.

    A notice that fits no hub of the inventory is refused, unless `may_fit_no_hub` says that this is known.
    """

    release_id: Annotated[str, Field(pattern=RELEASE_PATTERN)]
    cpl: CplBody
    kind: ReleaseKind
    severity: Severity
    priority: StatedPriority
    note_reference: Text
    automatic_date: InstantText
    rule: Rule = Rule.VOLUNTARY
    lone_lead: Wait = timedelta(days=14)
    answer_min: Wait = timedelta(days=3)
    pilot_cap: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = 300
    pilot_opens: OptionalInstant = None
    pilot_closes: OptionalInstant = None
    waves: WaveBodies = ()
    may_fit_no_hub: Annotated[bool, Field(strict=True)] = False


class RevisionBody(Shape):
    """What changes of a notice; the rest stays as it was announced."""

    note_reference: Text | None = None
    cpl_state: CplState | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.note_reference is None and self.cpl_state is None:
            raise ValueError("state note_reference, cpl_state, or both")
        return self


def build_router(settings: Settings, exports: Exports) -> APIRouter:
    """The routes about releases."""
    router = APIRouter(prefix="/v1/releases", tags=["releases"], route_class=JsonRoute)

    @router.post(
        "",
        status_code=201,
        operation_id="announceRelease",
        openapi_extra={**KEYED, **takes(NOTICE)},
        responses={201: {"model": AnnouncedView}, **REFUSALS, **problems(409)},
    )
    async def post(body: ReleaseBody, who: Dcc, key: Key, work: Work, response: Response) -> dict[str, Any]:
        answer = await work.run(announce.command, _announcement(body, who, key, settings), who)
        response.headers["Location"] = f"/v1/releases/{body.release_id}"
        response.headers.update(REPLAYED if answer.replayed else {})
        return answer.body

    @router.patch(
        "/{release_id}",
        operation_id="reviseRelease",
        openapi_extra={**KEYED, **takes(SMALL)},
        responses={200: {"model": NoticeView}, **REFUSALS, **problems(404)},
    )
    async def patch(
        who: Dcc, release_id: ReleaseInPath, body: RevisionBody, key: Key, work: Work, response: Response
    ) -> dict[str, Any]:
        revision = revise.Revision(
            caller=who,
            key=key,
            digest=digest_of(body, "revise", release_id),
            release_id=release_id,
            note_reference=body.note_reference,
            cpl_state=body.cpl_state,
        )
        answer = await work.run(revise.command, revision, who)
        response.headers.update(REPLAYED if answer.replayed else {})
        return answer.body

    _serve_reads(router, exports)
    return router


def _serve_reads(router: APIRouter, exports: Exports) -> None:
    @router.get("", operation_id="listReleases", responses={200: {"model": NoticesView}})
    async def listing(who: Anyone, work: Work) -> dict[str, Any]:
        async with work.reading(who) as tx:
            return {"releases": await report.notices(tx, who, work.now())}

    @router.get("/{release_id}", operation_id="getRelease", responses={200: {"model": SeenView}, **problems(404)})
    async def one(who: Anyone, release_id: ReleaseInPath, work: Work) -> dict[str, Any]:
        async with work.reading(who) as tx:
            return await report.notice(tx, release_id, who, work.now())

    @router.get(
        "/{release_id}/eligibility",
        operation_id="listEligibleHubs",
        response_model=None,
        responses={**HUB_LIST, **problems(404)},
    )
    async def eligibility(
        who: Supplier,
        release_id: ReleaseInPath,
        work: Work,
        form: Form,
        request: Request,
        response: Response,
        after: str | None = None,
        limit: Annotated[WholeNumber, Query(ge=1, le=LIST_LIMIT)] = 1_000,
    ) -> Listing:
        async with work.reading(who) as tx:
            await report.notice(tx, release_id, who, work.now())
        scope, own = Scope(who.party, release_id), partial(work.reading, who)
        return await hub_list(form, Asked(request, response), own, exports, scope, after=after, limit=limit)


def _announcement(body: ReleaseBody, who: Caller, key: str, settings: Settings) -> announce.Announcement:
    return announce.Announcement(
        caller=who,
        key=key,
        digest=digest_of(body),
        organisations=settings.organisations,
        release_id=ReleaseId(body.release_id),
        cpl=CplEntry.model_validate(body.cpl.model_dump()),
        kind=body.kind,
        severity=body.severity,
        priority=body.priority,
        note_reference=body.note_reference,
        rule=body.rule,
        lone_lead=body.lone_lead,
        answer_min=body.answer_min,
        pilot_cap=body.pilot_cap,
        automatic_date=body.automatic_date,
        pilot_opens=body.pilot_opens,
        pilot_closes=body.pilot_closes,
        waves=tuple(stated.wave for stated in body.waves),
        soak=settings.soak,
        may_fit_no_hub=body.may_fit_no_hub,
    )
