"""One process that reads a topic through the Faust source into the sink table, to be killed at any moment.

It writes one JSON line per happening to standard output: `settled` (with how many of the offer were repeats), `hole`,
`failed`. The exit code is 1 when the source ended by itself.
"""

import argparse
import asyncio
import json
import os
import random
from collections.abc import Sequence
from typing import Any

import structlog

from chfw_common.runtime.clock import RealClock
from chfw_common.runtime.consume import ConsumeCore, Settled
from chfw_common.runtime.database import Database, open_database
from chfw_common.runtime.errors import HoleError
from chfw_common.runtime.faust_source import FaustSource
from chfw_common.runtime.kafka.source import KafkaSource
from chfw_common.runtime.logs import configure_logs
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.service import Batch, Consume, Outcome, Record, Service, Tx
from chfw_common.runtime.source import SourceContext
from chfw_common.topology import Key, Topic
from tests.support.toy import NAME, ToyHappened, toy_topic

log = structlog.get_logger()


def say(kind: str, **what: object) -> None:
    """One line for the test that watches."""
    print(json.dumps({"kind": kind, **what}), flush=True)  # noqa: T201 - how it is watched


class Telling(SourceContext):
    """Says what was settled and what was refused."""

    async def settle(self, topic: Topic, partition: int, records: Sequence[Record]) -> Settled:
        """Settle and tell."""
        try:
            settled = await SourceContext.settle(self, topic, partition, records)
        except HoleError as hole:
            say("hole", partition=partition, due=hole.next_offset, found=hole.found)
            raise
        repeats = len(records) - settled.applied - settled.parked
        say("settled", partition=partition, next=settled.next_offset, repeats=repeats)
        return settled


class Sink:
    """A row per record and a counter per number: neither absorbs a repeat."""

    def __init__(self, delay: float) -> None:
        self._delay = delay

    async def handle(self, tx: Tx, batch: Batch[ToyHappened], _now: Any) -> Outcome:
        """Write, and now and then take a while: that is when it dies."""
        if self._delay:
            await asyncio.sleep(self._delay)
        await tx.execute(
            """insert into tally select n, 1 from unnest($1::bigint[]) n
               on conflict (n) do update set times = tally.times + 1""",
            [message.event.n for message in batch.messages],
        )
        return Outcome()


class Unsteady(FaustSource):
    """A Faust source whose agent awaits something now and then, as an agent may: one actor keeps the order even so."""

    rng = random.Random(7)

    async def _enqueue(self, record: Record) -> None:
        if self.rng.random() < 0.01:
            await asyncio.sleep(0.005)
        await super()._enqueue(record)


def source_of(arguments: argparse.Namespace, context: SourceContext, topic: Topic) -> FaustSource | KafkaSource:
    """The source that the arguments ask for."""
    if arguments.kafka:
        return KafkaSource(
            context, [topic], bootstrap=arguments.bootstrap, group=arguments.group, instance="0", max_records=500
        )
    return Unsteady(
        context,
        topic,
        bootstrap=arguments.bootstrap,
        group=arguments.group,
        instance="0",
        concurrency=arguments.concurrency,
        positions_from_group=arguments.positions_from_group,
    )


async def run(arguments: argparse.Namespace) -> None:
    """Consume until killed."""
    topic = toy_topic(arguments.topic, key=Key.HUB)
    service = Service(NAME, {topic: Consume(Sink(arguments.delay).handle)})
    database: Database = await open_database(arguments.dsn, NAME, connections=10)
    metrics = Metrics(NAME, ())
    context = Telling(ConsumeCore(service, database, metrics), database, metrics, RealClock(), asyncio.Event())
    say("started", pid=os.getpid())
    try:
        await source_of(arguments, context, topic).run()
    except Exception as error:
        say("failed", error=f"{type(error).__name__}: {error}")
        os._exit(1)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser()
    for name in ("--dsn", "--bootstrap", "--topic", "--group"):
        parser.add_argument(name, required=True)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--positions-from-group", action="store_true")
    parser.add_argument("--kafka", action="store_true")
    parser.add_argument("--delay", type=float, default=0.0)
    configure_logs(NAME, "json", "warning")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
