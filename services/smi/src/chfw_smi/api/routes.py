"""Routes: bulk load and changes of Supplier by the DCC, and the look-up of a hub."""

from typing import Annotated

from fastapi import APIRouter, Depends

from chfw_common.kernel.roles import SUPPLIER_ROLES, Role
from chfw_common.runtime.http.callers import Caller, dcc, only
from chfw_common.runtime.http.commands import Commands, commands
from chfw_common.runtime.http.ids import HubInPath
from chfw_common.runtime.http.json_route import REFUSALS, JsonRoute
from chfw_common.runtime.http.problems import Problem, problems
from chfw_smi.api.bodies import (
    ChangedBody,
    ChangesBody,
    HubView,
    LoadBody,
    LoadedBody,
    view_for_dcc,
    view_for_supplier,
)
from chfw_smi.domain.inventory import GpfTakenError
from chfw_smi.stages import change_supplier, load
from chfw_smi.store import hub, status

router = APIRouter(prefix="/v1", route_class=JsonRoute)

dcc_or_supplier = only(Role.DCC, *SUPPLIER_ROLES)


@router.post("/hubs:load", dependencies=[Depends(dcc)], responses={**REFUSALS, **problems(409)})
async def load_hubs(body: LoadBody, run: Annotated[Commands, Depends(commands)]) -> LoadedBody:
    """Load full records; what is already known is left alone and not told."""
    try:
        answer = await run.run(load.command, [entry.loaded() for entry in body.hubs])
    except GpfTakenError as error:
        raise Problem(409, "gpf_taken", "A GPF of this load belongs to another hub; nothing was loaded.") from error
    return LoadedBody(new=answer.new, changed=answer.changed, unchanged=answer.unchanged)


@router.post("/hubs:change-supplier", dependencies=[Depends(dcc)], responses=REFUSALS)
async def change_suppliers(body: ChangesBody, run: Annotated[Commands, Depends(commands)]) -> ChangedBody:
    """Change or remove who answers for hubs."""
    answer = await run.run(change_supplier.command, [entry.change() for entry in body.changes])
    return ChangedBody(changed=answer.changed, unchanged=answer.unchanged, unknown=answer.unknown)


@router.get("/hubs/{eui64}", response_model_exclude_none=True, responses=problems(404))
async def show_hub(
    who: Annotated[Caller, Depends(dcc_or_supplier)],
    eui64: HubInPath,
    run: Annotated[Commands, Depends(commands)],
) -> HubView:
    """One hub. To a Supplier that is not responsible for it, it does not exist."""
    async with run.reading() as tx:
        line = await hub.find(tx, eui64)
        former = await status.find(tx, eui64) if who.role is Role.DCC else []
    view = None
    if line is not None:
        view = view_for_dcc(line, former) if who.role is Role.DCC else view_for_supplier(line, who.party, who.user_id)
    if view is None:
        raise Problem(404, "unknown_hub", "There is no such hub.")
    return view
