"""The edge is exact: a halt waits for what is passing, and what comes after the halt's commit is refused."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from chfw_common.kernel.ids import ReleaseId
from chfw_common.runtime.migrations import migrate
from chfw_common.runtime.service import Outcome, Tx
from chfw_device_sim.stages import receive_command
from chfw_device_sim.store import fence
from tests.service.device_sim.stand import HOUR, SURE, T0, A, B, answers, arm, batch, devices, load_devices
from tests.support.serving import StoryClock

R1 = ReleaseId("r1")
EDGES = ("North", "South")
NAME = "chfw_fence_race"


@pytest.fixture
async def two(postgres_server: Any) -> AsyncIterator[tuple[Tx, Tx]]:
    """Two connections to one database with the schema in it."""
    admin = await asyncpg.connect(postgres_server.admin_dsn)
    await admin.execute(f"drop database if exists {NAME}")
    await admin.execute(f"create database {NAME}")
    settings = {"search_path": "device_sim", "timezone": "UTC"}
    first = await asyncpg.connect(postgres_server.admin_dsn, database=NAME, server_settings=settings)
    second = await asyncpg.connect(postgres_server.admin_dsn, database=NAME, server_settings=settings)
    async with first.transaction():
        await migrate(first, "device-sim")
    yield first, second
    await first.close()
    await second.close()
    await admin.execute(f"drop database {NAME}")
    await admin.close()


async def waits_for_a_lock(connection: Tx, other: Tx) -> bool:
    """Whether the other connection's statement is blocked, as the server sees it."""
    pid = other.get_server_pid()
    return bool(await connection.fetchval("select cardinality(pg_blocking_pids($1)) > 0", pid))


async def test_a_halt_waits_for_what_is_passing_and_the_next_passage_sees_it(two: tuple[Tx, Tx]) -> None:
    edge, control = two
    async with edge.transaction():
        assert await fence.share(edge, [R1], EDGES) == {}

        async def halt() -> None:
            async with control.transaction():
                await fence.close(control, [R1], EDGES)
                await control.execute(
                    "insert into fence (release_id, edge, min_epoch) values ('r1', 'North', 4), ('r1', 'South', 4)"
                )

        halting = asyncio.create_task(halt())
        async with asyncio.timeout(10):
            while not await waits_for_a_lock(edge, control):  # noqa: ASYNC110 - only the server knows
                await asyncio.sleep(0)
        assert await fence.find(edge, [R1]) == {}
    await halting
    async with edge.transaction():
        assert await fence.share(edge, [R1], EDGES) == {(R1, "North"): 4, (R1, "South"): 4}


async def test_passages_share_an_edge(two: tuple[Tx, Tx]) -> None:
    first, second = two
    async with first.transaction(), second.transaction(), asyncio.timeout(10):
        await fence.share(first, [R1], EDGES)
        await fence.share(second, [R1], EDGES)


async def test_a_permit_that_ends_while_the_edge_waits_has_ended(two: tuple[Tx, Tx]) -> None:
    """The edge looks at its clock when it holds fences and hubs; before, a CS06 went out eleven minutes late."""
    edge, control = two
    clock = StoryClock(T0)
    async with control.transaction():
        await load_devices(control, [A, B])
    handling: asyncio.Task[Outcome] | None = None
    async with edge.transaction():
        async with control.transaction():
            await fence.close(control, [R1], SURE.edges)
            commands = batch("hub.command", arm(A, 1), arm(B, 1))
            handling = asyncio.create_task(receive_command.handle(SURE, edge, commands, clock.now))
            async with asyncio.timeout(10):
                while not await waits_for_a_lock(control, edge):  # noqa: ASYNC110 - only the server knows
                    await asyncio.sleep(0)
            clock.at = T0 + HOUR + timedelta(seconds=1)
        said = answers((await handling).outgoing)
    assert {(item.hub, item.reason) for item in said} == {(A, "permit_expired"), (B, "permit_expired")}
    assert {item.at for item in said} == {clock.at}
    assert [row["activate_at"] for row in (await devices(edge)).values()] == [None, None]
