"""A service is data: what it consumes, what it does now and then, which routes it serves.

The same value is run live (real Kafka, real clock) and simulated (LocalBroker, VirtualClock).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Any, Generic, Protocol, TypeAlias, TypeVar
from uuid import UUID

import asyncpg
from fastapi import APIRouter

from chfw_common.events.base import Event
from chfw_common.kernel.ids import HubId, ReleaseId, hub_key
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.kept import Headers
from chfw_common.topology import CHUNK, Topic, in_chunks, partition_of_release

Tx: TypeAlias = "asyncpg.Connection[Any]"
"""An open transaction of the service's own database role."""

Now: TypeAlias = Callable[[], Instant]
"""The roll-out's time, whenever it is asked. A stage asks after it has the locks that make the time matter: what was
asked before a wait is old."""

EventT = TypeVar("EventT", bound=Event)
AnswerT = TypeVar("AnswerT")
OtherT = TypeVar("OtherT")
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Record:
    """One record as a broker hands it over, before anything is believed about it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Received(Generic[EventT]):
    """A decoded record. `sent_at` is the machine time of its sender."""

    offset: int
    event_id: UUID
    sent_at: Instant
    event: EventT


@dataclass(frozen=True, slots=True)
class Batch(Generic[EventT]):
    """Records of one partition in order, handled in one transaction."""

    topic: str
    partition: int
    messages: tuple[Received[EventT], ...]

    @property
    def events(self) -> tuple[EventT, ...]:
        """The facts alone, in order."""
        return tuple(message.event for message in self.messages)


EVENT_BYTES = 1_000_000
"""The most bytes of an event as JSON. A broker takes 1,048,588 for a record with its key and headers, unless it is told
otherwise (`message.max.bytes`)."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event to be published when the transaction commits.

    `lane` only where it is not the topic's own; `payload` only when the event has been written as JSON already.
    """

    topic: Topic
    key: bytes
    partition: int
    event: Event
    lane: int | None = None
    payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class Parked:
    """A record of the batch that cannot be handled, and why."""

    offset: int
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What handling a batch led to."""

    outgoing: Sequence[Outgoing] = ()
    parked: Sequence[Parked] = ()


@dataclass(frozen=True, slots=True)
class TickResult:
    """What one call of a tick led to; `more` asks for another call at once."""

    outgoing: Sequence[Outgoing] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that a command starts; the same kind and name is one job. Queues take turns."""

    kind: str
    name: str
    args: dict[str, Any]
    queue: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What a command changed, for the audit log: the action, and what it was done to.

    `before` and `after` say what was so and what is so, as small JSON; of much content a digest.
    """

    action: str
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Answered(Generic[AnswerT]):
    """What a command answers, changes, publishes and starts.

    `cause` names the request: the ids of its events derive from it. `change` is None when nothing was changed, as for a
    repeat; it has no default, so that no command forgets it.
    """

    answer: AnswerT
    cause: str
    change: Change | None
    outgoing: Sequence[Outgoing] = ()
    jobs: Sequence[NewJob] = ()

    def with_answer(self, answer: OtherT) -> "Answered[OtherT]":
        """The same with another form of the answer."""
        return Answered(answer, self.cause, self.change, self.outgoing, self.jobs)


class Handler(Protocol):
    """Handles one batch in the transaction that also moves the offset."""

    async def __call__(self, tx: Tx, batch: Batch[Any], now: Now, /) -> Outcome: ...


class Source(Enum):
    """Who reads a topic: the aiokafka consumer, its twin for control traffic, or a Faust agent."""

    BULK = "bulk"
    CONTROL = "control"
    FAUST = "faust"


@dataclass(frozen=True, slots=True)
class Consume:
    """How a topic is consumed: by what, from where, and how many hubs one transaction may take."""

    handler: Handler
    source: Source = Source.BULK
    max_weight: int = 2_000


Work: TypeAlias = dict[str, Any]
"""What a piece of a tick's work is found by: a release and a hub, a job. JSON."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Work that is due and was taken, locked: each piece by name, and what is to be done with all of them."""

    work: Sequence[Work]
    act: Callable[[], Awaitable[Sequence[Outgoing]]]
    more: bool


@dataclass(frozen=True, slots=True)
class Pieces:
    """A tick in pieces. `take` takes at most so many that are due; None: there is nothing.

    `put_off` moves the instant at which a piece is due: far away when it is set aside, to now when a person wants it
    tried again. A piece that is no longer there, or has nothing due, is left as it is.
    """

    take: Callable[[Tx, Now, int], Awaitable[Taken | None]]
    put_off: Callable[[Tx, Work, Instant], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Tick:
    """Something done now and then. `next_due` says when there is next something to do (None: nothing known).

    One process at a time runs a tick (advisory lock); one call acts on at most 500 hubs (the job of intake, which
    judges entries only, on 10,000). A call that asks for more is
    followed by another without a look, and after a look another process may be quicker: `run` does nothing where
    nothing is due. `pieces`: how to run it piece by piece when a piece fails again and again; `due_tick` makes such a
    tick. `every` is the machine time between looks when live. `relays_last`: the relay is not woken between
    calls that follow each other at once, so that what they lead to elsewhere does not slow them down; its own look,
    four times a second, bounds the delay. `urgent`: it runs on the connections of control traffic.
    """

    name: str
    run: Callable[[Tx, Now], Awaitable[TickResult]]
    next_due: Callable[[Tx, Instant], Awaitable[Instant | None]]
    every: timedelta = timedelta(milliseconds=100)
    relays_last: bool = False
    urgent: bool = False
    pieces: "Pieces | None" = None


def due_tick(
    name: str,
    pieces: Pieces,
    next_due: Callable[[Tx, Instant], Awaitable[Instant | None]],
    *,
    limit: int = CHUNK,
    relays_last: bool = False,
    urgent: bool = False,
) -> Tick:
    """A tick that takes what is due, at most `limit` pieces a call, and can do with one that fails again and again."""

    async def run(tx: Tx, now: Now) -> TickResult:
        taken = await pieces.take(tx, now, limit)
        return TickResult() if taken is None else TickResult(await taken.act(), taken.more)

    return Tick(name, run, next_due, relays_last=relays_last, urgent=urgent, pieces=pieces)


@dataclass(frozen=True, slots=True)
class JobStep:
    """One step of a job: where it stands now (None: finished), what it published, and what it cost.

    Queues take turns by cost: one whose steps cost a hundredth gets a hundred of them for each of another's.
    """

    cursor: dict[str, Any] | None
    outgoing: Sequence[Outgoing] = ()
    cost: int = 1


@dataclass(frozen=True, slots=True)
class JobKind:
    """Work on more hubs than one transaction may take. `step` gets the arguments, the cursor and the time."""

    name: str
    step: Callable[[Tx, dict[str, Any], dict[str, Any], Now], Awaitable[JobStep]]


@dataclass(frozen=True, slots=True)
class Gauge:
    """A number read from the truth: rows of (label values..., value) by one query, every few seconds.

    Where `alarm` names one (metrics.ALARMS), it is raised while a value is above its limit: that of `limits` for the
    last label, else `alarm_above`.
    """

    name: str
    read: Callable[[Tx, Instant], Awaitable[Sequence[tuple[tuple[str, ...], float]]]]
    alarm: str | None = None
    alarm_above: float = 0.0
    limits: Mapping[str, float] = field(default_factory=dict)

    def limit(self, labels: Sequence[str]) -> float:
        """Above which value of these labels the alarm is raised."""
        return self.limits.get(labels[-1], self.alarm_above) if labels else self.alarm_above


@dataclass(frozen=True, slots=True)
class Service:
    """One service of chfw."""

    name: str
    consumes: dict[Topic, Consume] = field(default_factory=dict)
    ticks: Sequence[Tick] = ()
    jobs: Sequence[JobKind] = ()
    routes: Sequence[APIRouter] = ()
    operator_routes: Sequence[APIRouter] = ()
    """Served by the listener for operators alone, unless they stand in `routes` too."""
    gauges: Sequence[Gauge] = ()


def release_event(topic: Topic, release_id: ReleaseId, event: Event) -> Outgoing:
    """An event about a release as a whole."""
    return Outgoing(topic, release_id.encode(), partition_of_release(release_id), event)


def hub_events(
    topic: Topic,
    rows: Sequence[tuple[int, HubId, ItemT]],
    make: Callable[[tuple[ItemT, ...]], Event],
    lane: int | None = None,
) -> list[Outgoing]:
    """Chunks of at most 500 hubs of one partition. A row is (partition, hub, what the event says of the hub).

    Rows keep their order within a partition; the key of a chunk is that of its first hub. A chunk whose event would be
    too large is cut in halves.
    """
    by_partition: dict[int, list[tuple[HubId, ItemT]]] = {}
    for partition, hub, item in rows:
        by_partition.setdefault(partition, []).append((hub, item))
    return [
        Outgoing(topic, hub_key(part[0][0]), partition, event, lane, payload)
        for partition, items in sorted(by_partition.items(), key=lambda entry: entry[0])
        for chunk in in_chunks(items)
        for part, event, payload in _small_enough(chunk, make)
    ]


def _small_enough(
    chunk: Sequence[tuple[HubId, ItemT]], make: Callable[[tuple[ItemT, ...]], Event]
) -> list[tuple[Sequence[tuple[HubId, ItemT]], Event, bytes]]:
    """The event of a chunk with its JSON, or the events of its halves."""
    event = make(tuple(item for _, item in chunk))
    payload = event.model_dump_json().encode()
    if len(payload) <= EVENT_BYTES or len(chunk) == 1:
        return [(chunk, event, payload)]
    middle = len(chunk) // 2
    return _small_enough(chunk[:middle], make) + _small_enough(chunk[middle:], make)
