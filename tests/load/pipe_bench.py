"""How many hubs a second the bare pipe moves: Kafka -> consume core -> one row per hub in Postgres.

usage: python -m tests.load.pipe_bench [--hubs 300000] [--runs 3] [--profile]

Real servers of its own (Postgres with durable commits), chunks of 500 hubs of hub.response in 32 partitions, produced
before the clock starts. The clock runs from the first offer to the last commit.
"""

import argparse
import asyncio
import cProfile
import pstats
import statistics
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg
import uvloop
from aiokafka import AIOKafkaProducer

from chfw_cli.local.kafka import KafkaServer
from chfw_cli.local.postgres import PostgresServer
from chfw_cli.local.state import StateDir
from chfw_common.events.response import HubResponse, ResponseItem, ResponseKind
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.runtime import envelope
from chfw_common.runtime.clock import RealClock, machine_now, stopwatch
from chfw_common.runtime.consume import ConsumeCore, Settled
from chfw_common.runtime.database import Database, open_database
from chfw_common.runtime.faust_source import FaustSource
from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.kafka.source import KafkaSource
from chfw_common.runtime.kafka.topics import create_topics
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.service import Batch, Consume, Now, Outcome, Record, Service, Tx, hub_events
from chfw_common.runtime.source import SourceContext
from chfw_common.topology import HUB_RESPONSE, Topic, partition_of_hub

NAME = "bench"
TABLE = "create table heard (hub bigint primary key, kind text not null, at timestamptz not null);"


async def handle(tx: Tx, batch: Batch[HubResponse], _now: Now) -> Outcome:
    """One row per hub."""
    items = [item for event in batch.events for item in event.items]
    await tx.execute(
        """insert into heard select * from unnest($1::bigint[], $2::text[], $3::timestamptz[])
           on conflict (hub) do update set kind = excluded.kind, at = excluded.at""",
        [item.hub for item in items],
        [item.kind.value for item in items],
        [item.at for item in items],
    )
    return Outcome()


class Timed(SourceContext):
    """Notes when the first offer came and when the last was settled."""

    first = 0.0
    last = 0.0
    left = 0
    done: asyncio.Event

    async def settle(self, topic: Topic, partition: int, records: Sequence[Record]) -> Settled:
        """Settle and note."""
        self.first = self.first or stopwatch()
        settled = await SourceContext.settle(self, topic, partition, records)
        self.left -= settled.applied
        if self.left == 0:
            self.last = stopwatch()
            self.done.set()
        return settled


async def produce(access: KafkaAccess, hubs: int) -> int:
    """Put the chunks into the topic; says how many there are."""
    now = machine_now()
    rows = []
    for n in range(hubs):
        hub = HubId(0x00DB_1234_0000_0000 + n)
        item = ResponseItem(hub=hub, kind=ResponseKind.DELIVERED, at=now, epoch=3, counter=n)
        rows.append((partition_of_hub(hub), hub, item))
    chunks = hub_events(HUB_RESPONSE, rows, lambda items: HubResponse(release_id=ReleaseId("bench"), items=items))
    # Partitions in turn, as they would come.
    chunks.sort(key=lambda out: (out.event.items[0].counter, out.partition))  # type: ignore[attr-defined]
    producer = AIOKafkaProducer(
        **access.client(), enable_idempotence=True, acks="all", max_request_size=4 * 1024 * 1024
    )
    await producer.start()
    try:
        for n, out in enumerate(chunks):
            headers = envelope.headers(
                envelope.event_id("bench", out.topic.name, out.key, n), out.event.TYPE, NAME, now, now
            )
            value = out.event.model_dump_json().encode()
            await producer.send(out.topic.name, value, out.key, partition=out.partition, headers=headers)
        await producer.flush()
    finally:
        await producer.stop()
    return len(chunks)


async def measure(kind: str, number: int, access: KafkaAccess, database: Database, records: int) -> float:
    """Seconds from the first offer to the last commit."""
    async with database.transaction() as tx:
        await tx.execute("truncate consumer_offset, consumed_range, parked_offset, heard")
    service = Service(NAME, {HUB_RESPONSE: Consume(handle)})
    metrics = Metrics(NAME, service.consumes)
    context = Timed(ConsumeCore(service, database, metrics), database, metrics, RealClock(), Wake())
    context.left, context.done = records, asyncio.Event()
    group = f"bench-{kind}-{number}"
    place: dict[str, Any] = {"access": access, "group": group, "instance": "0"}
    source: KafkaSource | FaustSource
    if kind == "kafka":
        source = KafkaSource(context, [HUB_RESPONSE], **place)
    else:
        source = FaustSource(context, HUB_RESPONSE, **place)
    running = asyncio.create_task(source.run())
    done = asyncio.create_task(context.done.wait())
    await asyncio.wait([running, done], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return context.last - context.first


async def bench(arguments: argparse.Namespace, state: StateDir) -> None:
    """Start the servers, produce, measure both sources in turn."""
    async with PostgresServer(state) as postgres, KafkaServer(state) as kafka:
        connection = await asyncpg.connect(postgres.dsn())
        runtime = (files("chfw_common") / "runtime" / "sql" / "runtime.sql").read_text()
        await connection.execute(f"create schema {NAME}; set search_path to {NAME}; {runtime} {TABLE}")
        await connection.close()
        await create_topics(kafka.access(), [HUB_RESPONSE])
        records = await produce(kafka.access(), arguments.hubs)
        print(f"{arguments.hubs} hubs in {records} records")  # noqa: T201
        database = await open_database(postgres.dsn(), NAME, connections=10)
        profile = cProfile.Profile() if arguments.profile else None
        figures: dict[str, list[float]] = {"kafka": [], "faust": []}
        for number in range(arguments.runs):
            for kind, found in figures.items():
                if profile and kind == "kafka":
                    profile.enable()
                found.append(arguments.hubs / await measure(kind, number, kafka.access(), database, records))
                async with database.transaction() as tx:
                    if await tx.fetchval("select count(*) from heard") != arguments.hubs:
                        raise RuntimeError("hubs are missing: the figures mean nothing")
                if profile:
                    profile.disable()
        await database.close()
    for kind, found in figures.items():
        each = ", ".join(f"{figure:,.0f}" for figure in found)
        print(f"{kind}: median {statistics.median(found):,.0f} hubs/s of {each}")  # noqa: T201
    if profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(15)


def main() -> None:
    """Parse the arguments and run in a state directory that is removed at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hubs", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="print where the time of the aiokafka source goes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chfw-bench-") as above:
        Path(above).chmod(0o755)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(bench(arguments, StateDir(Path(above) / "state").create()))


if __name__ == "__main__":
    main()
