"""The story on the local broker and the virtual clock: six months in minutes, the same every time for a seed."""

import contextlib
import functools
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, TypeVar

import asyncpg
import httpx2

from chfw_cli.demo.backlog import count_open
from chfw_cli.demo.client import Client
from chfw_cli.demo.estate import draw_estate
from chfw_cli.demo.pacing import Effort
from chfw_cli.demo.proc import own_peak_mb
from chfw_cli.demo.report import Report, Run, compose
from chfw_cli.demo.settings import service_settings
from chfw_cli.demo.story import Story, write_story
from chfw_cli.demo.tell import Say, seed, tell
from chfw_cli.demo.verify import verify
from chfw_cli.local.install import install_database
from chfw_cli.local.postgres import PostgresServer
from chfw_cli.local.postgres_config import UNSAFE_FAST
from chfw_cli.local.state import StateDir
from chfw_cli.simulated import open_simulation
from chfw_cli.tokens import Issuer
from chfw_common.kernel.instants import Instant
from chfw_common.simulation.driver import Simulation

T = TypeVar("T")

DATABASE = "chfw_simulation"
NO_JOINS = {"enable_indexscan": "off", "enable_bitmapscan": "off", "enable_hashjoin": "off"}


class SimulatedTimeline:
    """The driver's time."""

    def __init__(self, simulation: Simulation, dsn: str) -> None:
        self._simulation = simulation
        self._dsn = dsn

    async def until(self, instant: Instant) -> None:
        """Settle, jump, settle, up to the instant."""
        await self._simulation.run_until(instant)

    async def side_by_side(self, works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """One after the other: two drivers at once would leave the order to chance."""
        return [await work for work in works]

    async def work(self) -> None:
        """Move everything that can move at this instant."""
        await self._simulation.settle()

    async def merged(self) -> None:
        """Nothing is on its way once everything has moved that can."""
        await self.work()

    async def open_hubs(self) -> int:
        """Hubs that have not come to an end, those that nobody can reach left aside."""
        admin = await asyncpg.connect(self._dsn)
        try:
            return await count_open(admin)
        finally:
            await admin.close()

    async def effort(self) -> Effort:
        """Not measured: seconds of a simulation say nothing about the live system."""
        return Effort()


@dataclass(frozen=True, slots=True)
class Simulated:
    """All services on the virtual clock, with nothing told yet: where a story can be played."""

    client: Client
    timeline: SimulatedTimeline
    dsn: str


@contextlib.asynccontextmanager
async def stage(
    state: StateDir, story: Story, *, settings: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[Simulated]:
    """Set everything up for a story, on a database of its own that is made anew. `settings` are of Postgres."""
    async with PostgresServer(state.create(), profile=UNSAFE_FAST) as server:
        await _fresh(server)
        issuer = Issuer.open(state.keys)
        async with open_simulation(
            functools.partial(server.address, DATABASE),
            server.password_file,
            state.keys / "jwks.json",
            story.begins - timedelta(hours=1),
            settings=service_settings(story.estate.seed),
            postgres=dict(settings),
        ) as simulation:
            client, dsn = _client(simulation, issuer), server.dsn(DATABASE)
            try:
                yield Simulated(client, SimulatedTimeline(simulation, dsn), dsn)
            finally:
                await client.close()


async def simulate(state: StateDir, *, hubs: int, seed_number: int, other_plans: bool, say: Say) -> Report:
    """Run the story of a seed once. `other_plans` turns index and hash joins off."""
    return await play(state, write_story(draw_estate(seed_number, hubs)), other_plans=other_plans, say=say)


async def play(state: StateDir, story: Story, *, other_plans: bool = False, say: Say) -> Report:
    """Run a story that comes to its end, and reconcile."""
    begun = time.monotonic()
    async with stage(state, story, settings=NO_JOINS if other_plans else {}) as simulated:
        setup = time.monotonic() - begun
        await seed(simulated.client, story)
        told = await tell(simulated.client, story, simulated.timeline, say)
        story_seconds = time.monotonic() - begun - setup
        admin = await asyncpg.connect(simulated.dsn)
        try:
            verdict = await verify(simulated.client, admin, story, told)
        finally:
            await admin.close()
    run = Run(setup_seconds=setup, story_seconds=story_seconds, peak_rss_mb={"simulation": own_peak_mb()})
    return compose(story, told, verdict, run)


def _client(simulation: Simulation, issuer: Issuer) -> Client:
    services: dict[str, Any] = {
        name: httpx2.AsyncClient(transport=httpx2.ASGITransport(app=simulated.app), base_url=f"http://{name}")
        for name, simulated in simulation.services.items()
    }
    return Client(services, issuer)


async def _fresh(server: PostgresServer) -> None:
    admin = await asyncpg.connect(server.dsn())
    try:
        await admin.execute(f'drop database if exists "{DATABASE}" with (force)')
    finally:
        await admin.close()
    await install_database(server, DATABASE)
