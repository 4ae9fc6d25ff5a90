"""Facts of which each release has one line, 1, 2, 3, without gaps or twins (I11): decisions by epoch, notices by
version.

Readers keep the highest number. So a number that is out of line must not be taken: one far ahead would make readers
deaf to all that its owner says after it. It is parked with an alarm, and no state follows from it, until a person has
looked: `chfw parked retry` when what was missing has come, `chfw parked drop` when it was never true, `chfw lines
give-up` when what is missing will never come.

But it may be a halt, or come after one that was lost, and a halt must not wait for a person. So the stage is told of
the break, and what it guards stands still as long as the record is parked.
"""

import hashlib
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, TypeVar

import structlog

from chfw_common.events.base import Event
from chfw_common.kernel.ids import ReleaseId
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Batch, Handler, Now, Outcome, Outgoing, Parked, Received, Tx

log = structlog.get_logger()

SQL = load_queries("chfw_common.runtime.sql", "lines.sql")

FARTHEST = 2**62
"""A number of a record may have any size; one beyond this is kept as this."""

Taken: TypeAlias = dict[int, bytes | None]
"""The numbers of a line that were taken, each with the digest of what was said; None for one that was given up."""


class Numbered(Protocol):
    """A fact about a release with its place in the release's line."""

    @property
    def release_id(self) -> ReleaseId:
        """The release."""
        ...

    @property
    def number(self) -> int:
        """The place; the first is 1."""
        ...


@dataclass(frozen=True, slots=True)
class Break:
    """A record out of line: which number was due when it came, and where it is parked."""

    release_id: ReleaseId
    number: int
    due: int
    topic: str
    partition: int
    offset: int
    why: str


StandStill: TypeAlias = Callable[[Tx, Batch[Any], Sequence[Break], Now], Awaitable[Sequence[Outgoing]]]
"""What a stage does about breaks, before the rest of the batch is handled. It locks for the whole batch, in order."""

NumberedEvent = TypeVar("NumberedEvent", bound=Event)


def in_line(handler: Handler, stand_still: StandStill | None = None) -> Handler:
    """A handler that gets what is in line, and what it has had before; the rest is parked."""

    async def handle(tx: Tx, batch: Batch[Any], now: Now) -> Outcome:
        good, breaks = await _judge(tx, batch)
        if not breaks:
            return await handler(tx, batch, now)
        outgoing: list[Outgoing] = []
        if stand_still is not None:
            outgoing += await stand_still(tx, batch, breaks, now)
        if good:
            outcome = await handler(tx, replace(batch, messages=tuple(good)), now)
            outgoing += outcome.outgoing
            return Outcome(outgoing, [*outcome.parked, *_parked(breaks)])
        return Outcome(outgoing, _parked(breaks))

    return handle


def digest(event: Event) -> bytes:
    """What two records say the same by. A field that a later version adds changes nothing while it has its default."""
    # Not by orjson: an epoch of more than 64 bits is to be parked, not to end the process.
    document = json.dumps(event.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
    return hashlib.sha256(document.encode()).digest()


def due_after(taken: Taken) -> int:
    """The number that is due: the first that was not taken. What was given up may lie beyond it."""
    return next(number for number in itertools.count(1) if number not in taken)


def fault(taken: Taken, number: int, said: bytes) -> str | None:
    """Why a record may not be taken after those; None: it is the next, or one of them again."""
    due = due_after(taken)
    if number in taken:
        before = "given up" if taken[number] is None else "taken from another record"
        return None if taken[number] == said else f"number {number} was {before} before"
    return None if number == due else f"number {number} came where {due} is due"


async def _judge(tx: Tx, batch: Batch[Any]) -> tuple[list[Received[Any]], list[Break]]:
    """The messages in line, and the breaks, both in the order of the log. What is in line counts as taken."""
    lines = await _lines(tx, batch)
    good: list[Received[Any]] = []
    breaks: list[Break] = []
    new: list[tuple[ReleaseId, int, bytes]] = []
    for message in batch.messages:
        release_id, number, said = message.event.release_id, message.event.number, digest(message.event)
        taken = lines.setdefault(release_id, {})
        why = fault(taken, number, said)
        if why is not None:
            due = due_after(taken)
            breaks.append(Break(release_id, number, due, batch.topic, batch.partition, message.offset, why))
            continue
        good.append(message)
        if number not in taken:
            taken[number] = said
            new.append((release_id, number, said))
    if new:
        await tx.execute(SQL["take"], batch.topic, *map(list, zip(*new, strict=True)))
    for one in breaks:
        number = min(max(one.number, -FARTHEST), FARTHEST)
        await tx.execute(SQL["note_break"], one.topic, one.partition, one.offset, one.release_id, number, one.due)
        log.error(
            "a record is out of line", action="alarm", kind="out_of_line", topic=one.topic, partition=one.partition,
            offset=one.offset, rollout=one.release_id, why=one.why,
        )  # fmt: skip
    return good, breaks


async def _lines(tx: Tx, batch: Batch[Any]) -> dict[ReleaseId, Taken]:
    releases = sorted({message.event.release_id for message in batch.messages})
    lines: dict[ReleaseId, Taken] = {}
    for row in await tx.fetch(SQL["taken"], batch.topic, releases):
        lines.setdefault(ReleaseId(row["release_id"]), {})[row["number"]] = row["digest"]
    return lines


def _parked(breaks: Sequence[Break]) -> list[Parked]:
    return [Parked(one.offset, one.why) for one in breaks]
