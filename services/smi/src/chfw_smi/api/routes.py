"""Routes: bulk load and changes of Supplier by the DCC, and the look-up of a hub."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.kernel.roles import SUPPLIER_ROLES, Role
from chfw_common.runtime.http.callers import Admitted, Caller, dcc
from chfw_common.runtime.http.commands import Commands, commands
from chfw_common.runtime.http.idempotency import MAY_BE_KEYED, REPLAYED, Named, digest_of, once, optional_key
from chfw_common.runtime.http.ids import HubInPath
from chfw_common.runtime.http.json_route import LARGE, REFUSALS, JsonRoute, takes
from chfw_common.runtime.http.problems import Problem, invalid_request, problems
from chfw_smi.api.bodies import (
    ChangedBody,
    ChangesBody,
    HubView,
    LoadBody,
    LoadedBody,
    times_in,
    view_for_dcc,
    view_for_supplier,
)
from chfw_smi.domain.inventory import GpfTakenError, Loaded, SupplierChange
from chfw_smi.stages import change_supplier, load
from chfw_smi.store import hub, status

router = APIRouter(prefix="/v1", route_class=JsonRoute)

SKEW = timedelta(minutes=5)
"""How much later than ours the clock of a client may be."""

dcc_or_supplier = Admitted(Role.DCC, *SUPPLIER_ROLES)

Dcc = Annotated[Caller, Depends(dcc)]
Key = Annotated[str | None, Depends(optional_key)]
Work = Annotated[Commands, Depends(commands)]


def _loaded(answer: load.LoadAnswer) -> dict[str, Any]:
    return LoadedBody(new=answer.new, changed=answer.changed, unchanged=answer.unchanged).model_dump(mode="json")


def _changed(answer: change_supplier.ChangeAnswer) -> dict[str, Any]:
    body = ChangedBody(changed=answer.changed, unchanged=answer.unchanged, unknown=answer.unknown)
    return body.model_dump(mode="json")


# A load or a change that is repeated after a later one would set hubs back: under a key it takes effect once.
LOAD = once("smi", load.command, _loaded)
CHANGE = once("smi", change_supplier.command, _changed)


@router.post(
    "/hubs:load",
    openapi_extra={**MAY_BE_KEYED, **takes(LARGE)},
    responses={200: {"model": LoadedBody}, **REFUSALS, **problems(409)},
)
async def load_hubs(who: Dcc, body: LoadBody, key: Key, run: Work, response: Response) -> dict[str, Any]:
    """Load full records; what is already known is left alone and not told."""
    _refuse_future(body, run.now())
    records: Sequence[Loaded] = [entry.loaded() for entry in body.hubs]
    try:
        answer = await run.run(LOAD, Named(who.party, key, digest_of(body, "load"), records), who)
    except GpfTakenError as error:
        raise Problem(409, "gpf_taken", "A GPF of this load belongs to another hub; nothing was loaded.") from error
    response.headers.update(REPLAYED if answer.replayed else {})
    return answer.body


@router.post(
    "/hubs:change-supplier",
    openapi_extra={**MAY_BE_KEYED, **takes(LARGE)},
    responses={200: {"model": ChangedBody}, **REFUSALS},
)
async def change_suppliers(who: Dcc, body: ChangesBody, key: Key, run: Work, response: Response) -> dict[str, Any]:
    """Change or remove who answers for hubs."""
    _refuse_future(body, run.now())
    changes: Sequence[SupplierChange] = [entry.change() for entry in body.changes]
    named = Named(who.party, key, digest_of(body, "change-supplier"), changes)
    answer = await run.run(CHANGE, named, who)
    response.headers.update(REPLAYED if answer.replayed else {})
    return answer.body


def _refuse_future(body: LoadBody | ChangesBody, now: Instant) -> None:
    """Refuse what would be so one day only: nobody would look at it again when its time comes.

    Raises Problem 422 with every such time.
    """
    wrong = [
        (("body", *place), f"{format_instant(at)} lies in the future: state what is so now")
        for place, at in times_in(body)
        if at > now + SKEW
    ]
    if wrong:
        raise invalid_request(wrong)


@router.get("/hubs/{eui64}", response_model_exclude_none=True, responses=problems(404))
async def show_hub(
    who: Annotated[Caller, Depends(dcc_or_supplier)],
    eui64: HubInPath,
    run: Annotated[Commands, Depends(commands)],
) -> HubView:
    """One hub. To a Supplier that is not responsible for it, it does not exist."""
    async with run.reading(who) as tx:
        if who.role is not Role.DCC:
            own = await hub.find_own(tx, eui64, who.party, who.user_id)
            view = None if own is None else view_for_supplier(own, who.party, who.user_id)
        else:
            line = await hub.find(tx, eui64)
            view = None if line is None else view_for_dcc(line, await status.find(tx, eui64))
    if view is None:
        raise Problem(404, "unknown_hub", "There is no such hub.")
    return view
