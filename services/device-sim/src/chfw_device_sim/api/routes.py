"""Routes: bulk load of devices, the devices' own word for reconciliation, and what the simulation assumes."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from chfw_common.runtime.http.callers import Caller, dcc
from chfw_common.runtime.http.commands import Commands, commands
from chfw_common.runtime.http.ids import HUB_PATTERN, parsed_hub
from chfw_common.runtime.http.json_route import LARGE, REFUSALS, JsonRoute, takes
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.http.queries import WholeNumber
from chfw_device_sim.api.bodies import (
    MOST,
    AssumptionsView,
    DeviceView,
    LoadBody,
    LoadedBody,
    PageView,
    assumptions_view,
)
from chfw_device_sim.stages import load
from chfw_device_sim.stages.network import Network
from chfw_device_sim.store import device

Dcc = Annotated[Caller, Depends(dcc)]


def routes(network: Network) -> APIRouter:
    """The routes of a network; all are the DCC's."""
    router = APIRouter(prefix="/v1", dependencies=[Depends(dcc)], route_class=JsonRoute)

    @router.post("/devices:load", openapi_extra=takes(LARGE), responses=REFUSALS)
    async def load_devices(caller: Dcc, body: LoadBody, run: Annotated[Commands, Depends(commands)]) -> LoadedBody:
        """Load devices; a known one stays as it is."""
        nowhere = sorted({entry.region for entry in body.devices} - set(network.edges))
        if nowhere:
            raise Problem(422, "unknown_region", f"No edge serves: {', '.join(nowhere)}.")
        answer = await run.run(load.command, [entry.device() for entry in body.devices], caller)
        return LoadedBody(new=answer.new, known=answer.known)

    @router.get("/devices")
    async def page_devices(
        caller: Dcc,
        run: Annotated[Commands, Depends(commands)],
        after: Annotated[str | None, Query(json_schema_extra={"pattern": HUB_PATTERN})] = None,
        limit: Annotated[WholeNumber, Query(ge=1, le=MOST)] = 1_000,
    ) -> PageView:
        """Devices by id, a page at a time."""
        behind = None if after is None else parsed_hub(after)
        async with run.reading(caller) as tx:
            rows = await device.page(tx, behind, limit)
        return PageView(
            devices=tuple(DeviceView.model_validate(row) for row in rows),
            next=rows[-1]["hub"] if len(rows) == limit else None,
        )

    @router.get("/fleet/assumptions")
    async def show_assumptions() -> AssumptionsView:
        """The rates, the spans, the capacities and the seed of the simulated fleet."""
        return assumptions_view(network.edges, network.radio, network.capacity)

    return router
