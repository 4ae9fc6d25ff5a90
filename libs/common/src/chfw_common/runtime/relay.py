"""The relay of a lane: it takes events out of the outbox, sends them in the order of their ids, and commits once the
broker has acknowledged them. What is not acknowledged goes out again under the same event ids.

A partition that cannot be written while others can is held: the lane passes it by, and `held` tries it apart.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import itemgetter
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.advisory import lock_key
from chfw_common.runtime.backoff import Backoff
from chfw_common.runtime.clock import Clock, machine_now
from chfw_common.runtime.columns import columns
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.floor import Floor
from chfw_common.runtime.kept import keep_error
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.outbox import QUERIES
from chfw_common.runtime.repeats import Repeated
from chfw_common.runtime.sending import Place, Producer, Sender, is_refusal, place_of
from chfw_common.runtime.service import Tx
from chfw_common.runtime.transient import transient_as_error

log = structlog.get_logger()

RELAY_ROWS = 500
COLUMNS = ("id", "lane", "topic", "partition", "key", "event_id", "event_type", "payload", "event_time", "written_at")


@dataclass(frozen=True, slots=True)
class _Look:
    """What a relay finds when it has taken its lane."""

    oldest: int
    last_id: int
    held: Sequence[str]


class Relay:
    """Moves the events of one lane to the broker.

    `holds`: hold partitions that fail alone. Else any failure is raised: a broker in memory fails as a whole.
    """

    def __init__(
        self,
        service: str,
        lane: int,
        database: Database,
        producer: Producer,
        metrics: Metrics,
        *,
        holds: bool = True,
    ) -> None:
        self._lane = lane
        self._database = database
        self._sender = Sender(service, lane, producer)
        self._metrics = metrics
        self._holds = holds
        self._lock = lock_key(service, "relay", str(lane))
        self._floor = Floor()
        self._held_ids: frozenset[int] = frozenset()
        self._passed: dict[Place, BaseException] = {}
        self.held = asyncio.Event()
        """Set when a partition was held: it may be a matter of a moment."""

    @property
    def floor(self) -> int:
        """The id from which on the relay looks."""
        return self._floor.id

    async def relay_once(self, sent_at: Instant | None = None) -> int:
        """Take out up to 500 events in the order of their ids and send them; says how many left.

        0 when there are none, or another relay has the lane. Raises TransientError when Postgres is away, and what the
        producer raised when no partition could be written; all events stay in both cases.
        """
        async with transient_as_error(), self._database.transaction() as tx:
            look = await self._look(tx)
            if look is None:
                return 0
            rows = await self._take(tx, look)
            failed = await self._sender.together(rows, sent_at or machine_now())
            holding = bool(rows) and bool(failed or self._passed)
            if holding:
                await self._hold(tx, rows, failed)
        if holding:
            self.held.set()
        if not self._passed:
            self._floor.taken(look.last_id, [row["id"] for row in rows], _taken_by(rows), full=len(rows) == RELAY_ROWS)
        elif rows:
            self._passed = {}
        left = sum(place_of(row) not in failed for row in rows)
        self._metrics.relayed(self._lane, left)
        return left

    async def _look(self, tx: Tx) -> _Look | None:
        row = await tx.fetchrow(QUERIES["look"], self._lock, self._lane, self._sender.may_be_idle())
        if not row["locked"]:
            return None
        held_ids = frozenset(row["held_ids"])
        if not self._held_ids <= held_ids:
            # Of a partition that is no longer held, events may have been passed by.
            self._floor.drop()
        self._held_ids = held_ids
        self._floor.rise(row["oldest"])
        return _Look(row["oldest"], row["last_id"], row["held"])

    async def _take(self, tx: Tx, look: _Look) -> list[Mapping[str, Any]]:
        """The next events. When a failure passed partitions by and no other is left, it is their turn again."""
        rows = await self._fetch(tx, [*look.held, *map(_named, self._passed)])
        if not rows and self._passed:
            self._passed = {}
            rows = await self._fetch(tx, look.held)
        return sorted(rows, key=itemgetter("id"))

    async def _fetch(self, tx: Tx, without: Sequence[str]) -> list[Mapping[str, Any]]:
        return list(await tx.fetch(QUERIES["take_events"], self._lane, self._floor.id, without, RELAY_ROWS))

    async def _hold(self, tx: Tx, rows: Sequence[Mapping[str, Any]], failed: Mapping[Place, BaseException]) -> None:
        """Hold the partitions that failed, with those passed by before. Raises when nothing shows that others work."""
        broker_answers = len(failed) < len({place_of(row) for row in rows}) or any(map(is_refusal, failed.values()))
        if not self._holds or not broker_answers:
            self._passed.update(failed)
            raise next(iter(failed.values()))
        back = [row for row in rows if place_of(row) in failed]
        if back:
            await tx.execute(QUERIES["put_back"], *columns([row[name] for name in COLUMNS] for row in back))
        now = machine_now()
        held = [
            (topic, partition, keep_error(f"{type(error).__name__}: {error}"), is_refusal(error))
            for (topic, partition), error in sorted({**self._passed, **failed}.items(), key=itemgetter(0))
        ]
        await tx.execute(QUERIES["hold"], self._lane, *columns(held), now)
        for topic, partition, error, _ in held:
            log.error(
                "a partition cannot be written, the others go on", action="alarm", kind="held_partition",
                lane=self._lane, topic=topic, partition=partition, error=error,
            )  # fmt: skip


def _named(place: Place) -> str:
    return f"{place[0]}/{place[1]}"


def _taken_by(rows: Iterable[Mapping[str, Any]]) -> int | None:
    return next((row["taken_by"] for row in rows), None)


async def run_relay(relay: Relay, wake: asyncio.Event, clock: Clock, idle: timedelta) -> None:
    """Relay until cancelled: at once when woken, otherwise every `idle`.

    A server that is away is waited out; anything else ends the process.
    """
    backoff, waits = Backoff(clock), Repeated()
    while True:
        wake.clear()
        try:
            moved = await relay.relay_once()
            backoff.reset()
            waits.over()
        except (TransientError, KafkaError, OSError) as error:
            waits.failed("the outbox relay failed, rows stay", action="relay_failed", error=error)
            await backoff.wait()
            continue
        if moved < RELAY_ROWS:
            try:
                async with asyncio.timeout(idle.total_seconds()):
                    await wake.wait()
            except TimeoutError:
                pass
