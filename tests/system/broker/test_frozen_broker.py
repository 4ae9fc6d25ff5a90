"""A broker that hangs: connections stay open and nothing answers. Partitions and outboxes wait, and nothing ends."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import asyncpg
import httpx2
import pytest
from aiokafka.errors import KafkaError

from chfw_common.runtime import sending
from chfw_common.runtime.clock import RealClock, stopwatch
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.kafka import producer as kafka_producer
from chfw_common.runtime.kafka.rights import install_rights
from chfw_common.runtime.kafka.topics import create_topics
from chfw_common.runtime.outbox import write_outbox
from chfw_common.runtime.relay import run_relay
from chfw_common.runtime.sending import Patience
from chfw_common.topology import BULK_LANE
from tests.support.brokers import RealKafka
from tests.support.processes import Running, process_of
from tests.support.servers import RunningKafka, RunningPostgres
from tests.support.stands import Stand
from tests.support.toy import emitted
from tests.support.waiting import eventually, running

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]

FROZEN = 45.0
"""Seconds: longer than the relay waits (20 s), than a request of the producer (15 s) and of the consumer (40 s)."""


@pytest.fixture
async def kafka_stand(kafka_server: RunningKafka, toy_database: Database) -> Stand:
    made = Stand(RealKafka(kafka_server), toy_database)
    await made.broker.create(made.topic)
    return made


async def test_a_relay_outlives_a_frozen_broker_and_the_outbox_drains(
    kafka_stand: Stand, kafka_server: RunningKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sending.PATIENCE, BULK_LANE, Patience(timedelta(seconds=2), timedelta(seconds=1)))
    monkeypatch.setattr(kafka_producer, "REQUEST_TIMEOUT_MS", 1_500)
    stand, failures = kafka_stand, 0
    producer = stand.broker.producer()
    relay = stand.relay(BULK_LANE, producer)

    async def once() -> int:
        nonlocal failures
        try:
            return await type(relay).relay_once(relay)
        except (TransientError, KafkaError):
            failures += 1
            raise

    monkeypatch.setattr(relay, "relay_once", once)

    async def empty() -> bool:
        return await stand.fetch("select count(*) from outbox") == [(0,)]

    async def failed_twice() -> bool:
        return failures >= 2

    async with running(run_relay(relay, asyncio.Event(), RealClock(), timedelta(milliseconds=20))) as (relaying,):
        await write(stand, range(20), "before")
        await eventually(empty)
        with kafka_server.frozen():
            await write(stand, range(20, 40), "while it hangs")
            await eventually(failed_twice)
            assert not relaying.done()
        await eventually(empty)
    await stand.broker.close()


async def write(stand: Stand, numbers: range, cause: str) -> None:
    async with stand.database.transaction() as tx:
        await write_outbox(tx, [emitted(stand.topic, n) for n in numbers], cause, RealClock().now())


async def test_a_service_works_on_while_the_broker_hangs(
    chfw_dsn: str, postgres_server: RunningPostgres, kafka_server: RunningKafka, tmp_path: Path
) -> None:
    """Its HTTP answers throughout, nothing starts again, its log does not fill, and then its outbox drains."""
    await create_topics(kafka_server.access)
    await install_rights(kafka_server.access)
    where = {"dsn": chfw_dsn, "postgres": postgres_server, "kafka": kafka_server, "keys": tmp_path}
    async with process_of("instruction", **where) as service:  # type: ignore[arg-type]
        await service.ready()
        await has_relayed(chfw_dsn)
        lines = len(service.written)
        with kafka_server.frozen():
            await put_in_outbox(chfw_dsn, 10)
            slowest = await answers_for(service, FROZEN)
        assert slowest < 5.0
        assert service.process.returncode is None, "".join(service.written)
        await eventually(lambda: none_waits(chfw_dsn))
        await service.ready()
        assert service.process.returncode is None, "".join(service.written)
        assert len(service.written) - lines < 60, "".join(service.written[lines:])
        assert [line["action"] for line in service.said if line.get("action") == "relay_failed_over"]


async def answers_for(service: Running, seconds: float) -> float:
    """Ask a route that needs Postgres again and again; the longest an answer took."""
    slowest, begun = 0.0, stopwatch()
    async with httpx2.AsyncClient(timeout=10.0) as client:
        while stopwatch() - begun < seconds:
            asked = stopwatch()
            answer = await client.get(f"http://127.0.0.1:{service.operator_port}/readyz")
            assert answer.status_code == 200, answer.text
            slowest = max(slowest, stopwatch() - asked)
            await asyncio.sleep(0.2)  # a pace
    return slowest


async def put_in_outbox(dsn: str, rows: int) -> None:
    """Events as the service writes them; nobody who reads them runs."""
    await on(
        dsn,
        lambda connection: connection.execute(
            """insert into instruction.outbox (
                   lane, topic, partition, key, event_id, event_type, event_time, payload, written_at
               ) select 1, 'instruction.received', n % 32, 'k', gen_random_uuid(), 'any', now(), '{}', now()
               from generate_series(1, $1::int) n""",
            rows,
        ),
    )


async def has_relayed(dsn: str) -> None:
    """Let its producer be made, so that it is one with a connection that freezes."""
    await put_in_outbox(dsn, 3)
    await eventually(lambda: none_waits(dsn))


async def none_waits(dsn: str) -> bool:
    return bool(await on(dsn, lambda connection: connection.fetchval("select count(*) = 0 from instruction.outbox")))


async def on(dsn: str, work: "Callable[[asyncpg.Connection[asyncpg.Record]], Awaitable[object]]") -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await work(connection)
    finally:
        await connection.close()
