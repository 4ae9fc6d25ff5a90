"""The outbox: events are written in the transaction that makes them true, and relayed afterwards.

One relay per service and lane holds an advisory lock, takes rows out, sends them in id order, and commits once the
broker has acknowledged all. A failed or late send throws the producer away and rolls back: rows go out again under the
same event ids.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import Any, Protocol

from aiokafka.errors import KafkaError

from chfw_common.kernel.instants import Instant
from chfw_common.runtime import envelope
from chfw_common.runtime.advisory import lock_key
from chfw_common.runtime.backoff import Backoff
from chfw_common.runtime.clock import Clock, machine_now
from chfw_common.runtime.columns import columns
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.kept import Headers
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.repeats import Repeated
from chfw_common.runtime.service import Outgoing, Tx
from chfw_common.runtime.transient import transient_as_error
from chfw_common.topology import BULK_LANE, CONTROL_LANE, LANES

RELAY_ROWS = 500
SEND_TIMEOUT = {CONTROL_LANE: timedelta(seconds=4), BULK_LANE: timedelta(seconds=20)}
"""How long a lane waits for the broker. A relay that vanishes meanwhile keeps its lane from others a second longer."""
NO_LANES: frozenset[int] = frozenset()
_ALONE = "select pg_try_advisory_xact_lock($1) and set_config('idle_in_transaction_session_timeout', $2, true) <> ''"
"""Whether this relay has the lane. Its transaction waits for the broker, so it may be idle longer than others."""
_TAKE = """
delete from outbox where id = any(array(select id from outbox where lane = $1 order by id limit $2)) returning *
"""


class Producer(Protocol):
    """What the relay needs of a broker. `send` returns once the record is acknowledged or raises."""

    async def send(
        self, topic: str, partition: int, key: bytes, value: bytes, headers: Headers
    ) -> "asyncio.Future[Any]":
        """Hand over one record; the future ends when it is acknowledged."""
        ...

    async def discard(self) -> None:
        """Throw away whatever is in flight; the next `send` starts afresh."""
        ...


class Wake:
    """What the relays of a process wait for, lane by lane."""

    def __init__(self) -> None:
        self._events = {lane: asyncio.Event() for lane in LANES}

    def of(self, lane: int) -> asyncio.Event:
        """Set when there are new rows in the lane."""
        return self._events[lane]

    def lanes(self, lanes: Iterable[int]) -> None:
        """Rows of these lanes were committed."""
        for lane in lanes:
            self._events[lane].set()


async def write_outbox(tx: Tx, outgoing: Sequence[Outgoing], cause: str, now: Instant) -> frozenset[int]:
    """Write the events of one cause. Last in the lock order. Gives the lanes they took."""
    if not outgoing:
        return NO_LANES
    written = machine_now()
    lanes = [out.topic.lane if out.lane is None else out.lane for out in outgoing]
    rows = (
        (
            lane,
            out.topic.name,
            out.partition,
            out.key,
            envelope.event_id(cause, out.topic.name, out.key, ordinal),
            out.event.TYPE,
            out.event.model_dump_json().encode(),
        )
        for ordinal, (lane, out) in enumerate(zip(lanes, outgoing, strict=True))
    )
    await tx.execute(
        """insert into outbox (lane, topic, partition, key, event_id, event_type, payload, event_time, written_at)
           select u.lane, u.topic, u.partition, u.key, u.event_id, u.event_type, u.payload, $8, $9
           from unnest($1::smallint[], $2::text[], $3::int[], $4::bytea[], $5::uuid[], $6::text[], $7::bytea[])
               with ordinality u(lane, topic, partition, key, event_id, event_type, payload, n)
           order by u.n""",
        *columns(rows),
        now,
        written,
    )
    return frozenset(lanes)


class Relay:
    """Moves the rows of one lane to the broker."""

    def __init__(self, service: str, lane: int, database: Database, producer: Producer, metrics: Metrics) -> None:
        self._service = service
        self._lane = lane
        self._database = database
        self._producer = producer
        self._metrics = metrics
        self._lock = lock_key(service, "relay", str(lane))
        self._timeout = SEND_TIMEOUT[lane].total_seconds()
        self._patience = f"{int(self._timeout) + 1}s"

    async def relay_once(self, sent_at: Instant | None = None) -> int:
        """Take out and send up to 500 rows in id order; 0 when there are none, or another relay holds the lane.

        Raises TransientError when Postgres is away, and whatever the producer raised; rows stay in both cases.
        """
        async with transient_as_error(), self._database.transaction() as tx:
            if not await tx.fetchval(_ALONE, self._lock, self._patience):
                return 0
            rows = await tx.fetch(_TAKE, self._lane, RELAY_ROWS)
            if not rows:
                return 0
            await self._send(sorted(rows, key=itemgetter("id")), sent_at or machine_now())
        self._metrics.relayed(self._lane, len(rows))
        return len(rows)

    async def _send(self, rows: Sequence[Any], sent_at: Instant) -> None:
        pending: list[asyncio.Future[Any]] = []
        done = False
        try:
            async with asyncio.timeout(self._timeout):
                for row in rows:
                    headers = envelope.headers(
                        row["event_id"], row["event_type"], self._service, row["event_time"], sent_at
                    )
                    pending.append(
                        await self._producer.send(row["topic"], row["partition"], row["key"], row["payload"], headers)
                    )
                await asyncio.gather(*pending)
            done = True
        finally:
            if not done:
                await self._producer.discard()
                for future in pending:
                    future.cancel()
                await asyncio.gather(*pending, return_exceptions=True)


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
