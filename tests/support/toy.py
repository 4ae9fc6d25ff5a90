"""A service as small as one can be. Its handler counts, so whatever is doubled or lost shows in its tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, ClassVar
from uuid import UUID, uuid5

from chfw_common.events.base import Event
from chfw_common.runtime import envelope
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.service import Batch, Consume, Now, Outcome, Outgoing, Parked, Service, Tx
from chfw_common.topology import BULK_LANE, Key, Topic, partition_of_key

NAME = "toy"
TABLES = """
create table taken (
    seq bigint generated always as identity, topic text, partition int, "offset" bigint, n bigint, batch int
);
create table tally (n bigint primary key, times int not null);
"""


async def install(tx: Tx, _database: str) -> None:
    """The schema of the toy: the runtime's tables and two of its own, which do not absorb repeats."""
    runtime = (files("chfw_common") / "runtime" / "sql" / "runtime.sql").read_text()
    await tx.execute(f"create schema {NAME}; set local search_path to {NAME}")
    await tx.execute(runtime + TABLES)


class ToyHappened(Event):
    """Something happened to `n`."""

    TOPIC: ClassVar[str] = "toy.happened"
    TYPE: ClassVar[str] = "uk.chfw.toy.happened.v1"

    n: int


def toy_topic(name: str, *, key: Key = Key.RELEASE, lane: int = BULK_LANE) -> Topic:
    """A topic of a test's own: 4 partitions by release, 32 by hub."""
    return Topic(type("ToyHappened", (ToyHappened,), {"TOPIC": name}), key, NAME, (NAME,), "a toy happened", lane)


@dataclass
class Toy:
    """The toy's handler, and what it is told to do wrong."""

    out: Topic | None = None
    bugs: set[int] = field(default_factory=set)
    away: dict[int, int] = field(default_factory=dict)
    refuse: set[int] = field(default_factory=set)
    batches: int = 0

    def service(self, topics: Iterable[Topic], **parts: Any) -> Service:
        """The service that consumes the topics."""
        return Service(NAME, {topic: Consume(self.handle) for topic in topics}, **parts)

    async def handle(self, tx: Tx, batch: Batch[ToyHappened], _now: Now) -> Outcome:
        """Write a row per record and count each `n`; fail only after that."""
        self.batches += 1
        parked = [Parked(m.offset, "refused") for m in batch.messages if m.event.n in self.refuse]
        messages = [message for message in batch.messages if message.event.n not in self.refuse]
        await tx.executemany(
            'insert into taken (topic, partition, "offset", n, batch) values ($1, $2, $3, $4, $5)',
            [(batch.topic, batch.partition, m.offset, m.event.n, self.batches) for m in messages],
        )
        await tx.executemany(
            "insert into tally values ($1, 1) on conflict (n) do update set times = tally.times + 1",
            [(m.event.n,) for m in messages],
        )
        numbers = [message.event.n for message in messages]
        self._fail(numbers)
        return Outcome([emitted(self.out, n) for n in numbers] if self.out else (), parked)

    def _fail(self, numbers: Sequence[int]) -> None:
        for n in numbers:
            if self.away.get(n, 0) > 0:
                self.away[n] -= 1
                raise TransientError("the toy's server is away")
            if n in self.bugs:
                raise ZeroDivisionError(f"the toy has a bug at {n}")


def emitted(topic: Topic, n: int) -> Outgoing:
    """The event that the toy publishes for `n`."""
    key = str(n).encode()
    return Outgoing(topic, key, partition_of_key(key, topic.partitions), topic.event.model_validate({"n": n}))


def key_of(partition: int, partitions: int, after: int = -1) -> bytes:
    """The first number (beyond another) whose key belongs to the partition."""
    keys = (str(i).encode() for i in range(after + 1, 10_000))
    return next(key for key in keys if partition_of_key(key, partitions) == partition)


def toy_headers(topic: Topic, ce_id: UUID) -> list[tuple[str, bytes]]:
    """The headers of a toy event made now."""
    now = machine_now()
    return envelope.headers(ce_id, topic.event.TYPE, NAME, now, now)


def toy_id(n: int) -> UUID:
    """An event id for `n`."""
    return uuid5(UUID(int=0), str(n))
