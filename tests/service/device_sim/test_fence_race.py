"""The edge is exact: a halt waits for what is passing, and what comes after the halt's commit is refused."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from chfw_common.kernel.ids import ReleaseId
from chfw_common.runtime.migrations import migrate
from chfw_common.runtime.service import Tx
from chfw_device_sim.store import fence

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
