"""The relay on a real Postgres where transactions overlap: it begins at a floor, and misses nothing."""

import asyncio
import random
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

import orjson
import pytest

from chfw_common.runtime import floor
from chfw_common.runtime.clock import RealClock, machine_now
from chfw_common.runtime.outbox import write_outbox
from chfw_common.runtime.relay import run_relay
from chfw_common.topology import BULK_LANE
from tests.support.brokers import InMemory
from tests.support.stands import Stand
from tests.support.toy import emitted
from tests.support.waiting import eventually, running

if TYPE_CHECKING:
    from chfw_common.runtime.database import Database

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]


@pytest.fixture
async def local(toy_database: "Database") -> Stand:
    broker = InMemory()
    stand = Stand(broker, toy_database)
    await broker.create(stand.topic)
    return stand


@pytest.fixture(autouse=True)
def no_look_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found, the floor alone has not passed."""
    monkeypatch.setattr(floor, "LOOK_BACK", 1e9)


async def write(stand: Stand, numbers: Iterable[int], hold: asyncio.Event | None = None) -> None:
    async with stand.database.transaction() as tx:
        await write_outbox(tx, [emitted(stand.topic, n) for n in numbers], f"{numbers}", machine_now())
        if hold is not None:
            await hold.wait()


async def sent(stand: Stand) -> list[int]:
    return [int(r.key or b"") for partition in range(4) for r in await stand.broker.log(stand.topic, partition)]


async def count(stand: Stand) -> int:
    return int((await stand.fetch("select count(*) from outbox"))[0][0])


async def test_an_event_whose_transaction_is_slow_is_not_passed(local: Stand) -> None:
    """Its id was given out before those of a thousand others that have left."""
    relay, end = local.relay(BULK_LANE, local.broker.producer()), asyncio.Event()
    slow = asyncio.create_task(write(local, [1], end))

    async def has_written() -> bool:
        rows = await local.fetch("select pg_sequence_last_value('outbox_id_seq')")
        return rows == [(1,)]

    await eventually(has_written)
    for first in range(100, 1_100, 10):
        await write(local, range(first, first + 10))
        assert await relay.relay_once() == 10
    end.set()
    await slow
    assert await relay.relay_once() == 1
    assert await count(local) == 0


async def test_writers_that_overlap_lose_nothing(local: Stand) -> None:
    relay = local.relay(BULK_LANE, local.broker.producer())
    rng = random.Random(5)

    async def writer(first: int) -> None:
        for n in range(first, first + 40):
            hold = asyncio.Event()
            asyncio.get_running_loop().call_later(rng.choice([0, 0, 0.001, 0.005, 0.05]), hold.set)
            await write(local, [n], hold)

    async def all_sent() -> bool:
        return await count(local) == 0 and len(await sent(local)) == 240

    async with running(run_relay(relay, asyncio.Event(), RealClock(), timedelta(milliseconds=1))):
        await asyncio.gather(*(writer(first) for first in range(0, 240, 40)))
        await eventually(all_sent)
    assert sorted(await sent(local)) == list(range(240))


async def test_under_an_open_snapshot_the_relay_steps_over_nothing_it_sent(local: Stand) -> None:
    """A dump or an export keeps what was relayed in the index: the relay reads none of it again."""
    relay = local.relay(BULK_LANE, local.broker.producer())
    connection = await local.database.pool.acquire()
    snapshot = connection.transaction(isolation="repeatable_read", readonly=True)
    await snapshot.start()
    # A dump is no session of a service, and not bound to its limits.
    await connection.execute("set local idle_in_transaction_session_timeout = 0")
    await connection.fetchval("select count(*) from outbox")
    for first in range(0, 20_000, 500):
        await write(local, range(first, first + 500))
        assert await relay.relay_once() == 500
    await write(local, range(20_000, 20_010))
    assert await visited(local, relay.floor) < 100 < await visited(local, 0)
    assert await relay.relay_once() == 10
    await snapshot.rollback()
    await local.database.pool.release(connection)


async def visited(stand: Stand, first: int) -> int:
    """Pages that the query of the relay reads."""
    async with stand.database.transaction() as tx:
        await tx.execute("set local enable_seqscan = off; set local enable_bitmapscan = off")
        plan = await tx.fetchval(
            """explain (analyze, buffers, format json)
               select id from outbox where lane = $1 and id > $2 order by id limit 500""",
            BULK_LANE,
            first,
        )
    top = orjson.loads(plan)[0]["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])
