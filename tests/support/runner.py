"""Processes that read a topic into the sink table, to be killed at any moment.

The program imports what it needs once, then forks a child for each line on standard input: a start costs what the
source costs, not what Python costs. It writes one JSON line per happening to standard output: `started`, `settled`,
`hole`, `failed` by the child, `ended` by the parent.
"""

import argparse
import asyncio
import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer

from chfw_common.runtime.clock import RealClock, machine_now
from chfw_common.runtime.consume import ConsumeCore, Settled
from chfw_common.runtime.database import Database, open_database
from chfw_common.runtime.errors import HoleError, PositionError
from chfw_common.runtime.faust_source import FaustSource
from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.kafka.source import KafkaSource
from chfw_common.runtime.logs import configure_logs
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.service import Batch, Consume, Outcome, Record, Service, Tx
from chfw_common.runtime.source import SourceContext
from chfw_common.topology import Key, Topic
from tests.support.toy import NAME, ToyHappened, toy_topic

COUNT = """
insert into tally select n, 1 from unnest($1::bigint[]) n on conflict (n) do update set times = tally.times + 1
"""


def say(kind: str, **what: object) -> None:
    """One line for the test that watches, in one write."""
    os.write(1, json.dumps({"kind": kind, **what}).encode() + b"\n")


class Telling(SourceContext):
    """Says what was settled and what was refused; may stand still after the commit in Postgres."""

    stands_still = False

    async def settle(self, topic: Topic, partition: int, records: Sequence[Record]) -> Settled:
        """Settle and tell."""
        try:
            settled = await SourceContext.settle(self, topic, partition, records)
        except HoleError as hole:
            say("hole", partition=partition, due=hole.next_offset, found=hole.found)
            raise
        repeats = len(records) - settled.applied - settled.parked
        say("settled", partition=partition, next=settled.next_offset, repeats=repeats)
        if self.stands_still:
            await asyncio.Event().wait()
        return settled

    def stop_partition(self, topic: Topic, partition: int, error: PositionError) -> None:
        """Stop and tell."""
        say("stopped", partition=partition, error=str(error))
        SourceContext.stop_partition(self, topic, partition, error)


class Trusting(ConsumeCore):
    """Control: believes its source, so it steps over holes."""

    async def _in_transaction(self, tx: Tx, topic: Topic, partition: int, offer: Any, *rest: Any, **more: Any) -> Any:
        await tx.execute(
            "update consumer_offset set next = $3 where topic = $1 and partition = $2 and next < $3",
            topic.name,
            partition,
            offer[0].record.offset,
        )
        return await super()._in_transaction(tx, topic, partition, offer, *rest, **more)


class Sink:
    """A counter per number: it does not absorb repeats."""

    def __init__(self, *, hangs: bool) -> None:
        self._hangs = hangs

    async def handle(self, tx: Tx, batch: Batch[ToyHappened], _now: Any) -> Outcome:
        """Count, unless it hangs: then it waits to be killed."""
        if self._hangs:
            await asyncio.Event().wait()
        await tx.execute(COUNT, [message.event.n for message in batch.messages])
        return Outcome()


class Unsteady(FaustSource):
    """A Faust source whose agent awaits something now and then, as an agent may: one actor keeps the order even so."""

    rng = random.Random(7)

    async def _enqueue(self, record: Record) -> None:
        if self.rng.random() < 0.005:
            await asyncio.sleep(0.003)
        await super()._enqueue(record)


def access_of(arguments: argparse.Namespace) -> KafkaAccess:
    """How the arguments say that Kafka is reached."""
    return KafkaAccess(
        bootstrap=arguments.bootstrap,
        username=arguments.username,
        password_file=Path(arguments.password_file),
    )


async def trust_the_group(arguments: argparse.Namespace, database: Database, topic: Topic) -> None:
    """Control: the position is Kafka's, committed after Postgres has committed."""
    consumer = AIOKafkaConsumer(
        topic.name,
        **access_of(arguments).client(),
        group_id=arguments.group,
        group_instance_id="0",
        session_timeout_ms=6_000,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    while True:
        for records in (await consumer.getmany(timeout_ms=500)).values():
            numbers = [json.loads(record.value)["n"] for record in records]
            async with database.transaction() as tx:
                await tx.execute(COUNT, numbers)
            say("settled")
            if arguments.stand_still:
                await asyncio.Event().wait()
            await consumer.commit()


async def run(arguments: argparse.Namespace) -> None:
    """Consume until killed."""
    topic = toy_topic(arguments.topic, key=Key(arguments.key))
    service = Service(NAME, {topic: Consume(Sink(hangs=arguments.hang).handle)})
    database = await open_database(arguments.dsn, NAME, connections=10)
    metrics = Metrics(NAME, ())
    core = (Trusting if arguments.trusting else ConsumeCore)(service, database, metrics)
    context = Telling(core, database, metrics, RealClock(), Wake())
    context.stands_still = arguments.stand_still
    place = {"access": access_of(arguments), "group": arguments.group, "instance": "0"}
    if arguments.source == "trusting":
        await trust_the_group(arguments, database, topic)
    elif arguments.source == "kafka":
        await KafkaSource(context, [topic], **place).run()
    else:
        await Unsteady(
            context,
            topic,
            **place,
            concurrency=arguments.concurrency,
            positions_from_group=arguments.positions_from_group,
        ).run()


def child(arguments: argparse.Namespace) -> None:
    """The process that is killed. It ends at once when its source does."""
    say("started", pid=os.getpid(), at=machine_now().isoformat())
    try:
        asyncio.run(run(arguments))
    except BaseException as error:
        say("failed", error=f"{type(error).__name__}: {error}")
        raise
    finally:
        os._exit(1)


def main() -> None:
    """Fork a child per line of input; the children end with this program."""
    parser = argparse.ArgumentParser()
    for name in ("--dsn", "--bootstrap", "--username", "--password-file", "--topic", "--group"):
        parser.add_argument(name, required=True)
    parser.add_argument("--key", choices=[*Key], default=Key.HUB)
    parser.add_argument("--source", choices=["faust", "kafka", "trusting"], default="faust")
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--positions-from-group", action="store_true")
    parser.add_argument("--trusting", action="store_true")
    parser.add_argument("--stand-still", action="store_true")
    parser.add_argument("--hang", action="store_true")
    arguments = parser.parse_args()
    configure_logs(NAME, "json", "error")
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            for switch in line.split():
                setattr(arguments, switch, True)
            child(arguments)
        _, status = os.waitpid(pid, 0)
        say("ended", code=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
