"""How far behind the services are: events not yet relayed, records not yet consumed, jobs not done, hubs due."""

import contextlib
from typing import Any

import asyncpg

from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import FINAL_STATES, HubState
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.kafka.ends import EndOffsets
from chfw_common.topology import INSTRUCTION_RECEIVED, SERVICES, TOPICS, Topic, schema_of

SMALL = 192
"""Events or records that may be under way while time goes on: what six services settle in a fifth of a second, which is
five hours of the clock. Each may concern 500 hubs."""

AWAY = (
    TransientError,
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What a look-out waits out: a server that was killed, or is starting."""

_WAITING = " union all ".join(
    f"select count(*) as n from {schema_of(service)}.outbox"
    f" union all select 100000 * count(*) from {schema_of(service)}.job where state = 'open'"
    for service in SERVICES
)
_NEXT = " union all ".join(
    f"select '{service}' as service, topic, partition, next from {schema_of(service)}.consumer_offset"
    for service in SERVICES
)
_WRITTEN = """
select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint from pg_stat_user_tables where schemaname = any($1)
"""
_DUE = """
select exists (select 1 from scheduler.ledger l join scheduler.decision d using (release_id)
               where l.claim_at <= $1 and (d.mode = 'run' or d.mode = 'pilot' and l.pilot))
    or exists (select 1 from scheduler.ledger where check_at <= $1)
    or exists (select 1 from device_sim.device where deliver_at <= $1)
    or exists (select 1 from device_sim.device where activate_at <= $1)
    or exists (select 1 from device_sim.later where due_at <= $1)
    or exists (select 1 from notifier.gathered where due <= $1)
"""
_OPEN = "select count(*) from scheduler.ledger where state <> all($1)"
ENDED = sorted(FINAL_STATES | {HubState.UNREACHABLE})
"""The states of hubs that have come to an end, and of those that nobody can reach."""


async def count_open(connection: Any) -> int:
    """Hubs that have not come to an end, those that nobody can reach left aside."""
    return int(await connection.fetchval(_OPEN, ENDED))


class Backlog:
    """Looks from outside, at Postgres and at Kafka's end offsets."""

    def __init__(self, dsn: str, kafka: KafkaAccess) -> None:
        self._dsn = dsn
        self._ends = EndOffsets(kafka)
        self._connection: Any = None

    async def connection(self) -> Any:
        """The connection of this look-out; a new one when the last is gone."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._dsn, timeout=5, command_timeout=20)
        return self._connection

    def forget(self) -> None:
        """Drop a connection that failed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def none(self, now: Instant) -> bool:
        """Whether nothing at all is under way or due."""
        return await self.count() == 0 and not await self.due(now) and await self.count() == 0

    async def due(self, at: Instant) -> bool:
        """Whether anything that was due at that time has not been done."""
        connection = await self.connection()
        return bool(await connection.fetchval(_DUE, at))

    async def open_hubs(self) -> int:
        """Hubs that have not come to an end, those that nobody can reach left aside."""
        return await count_open(await self.connection())

    async def rows_written(self) -> int:
        """Rows that all services have inserted, updated or deleted so far, as Postgres counts them."""
        connection = await self.connection()
        return int(await connection.fetchval(_WRITTEN, [schema_of(service) for service in SERVICES]))

    async def merged(self) -> bool:
        """Whether no instruction is waiting between intake and the ledger."""
        connection = await self.connection()
        waiting = await connection.fetchval(
            "select exists (select 1 from instruction.outbox)"
            " or exists (select 1 from instruction.job where state = 'open')"
        )
        return not waiting and await self.unread("scheduler", INSTRUCTION_RECEIVED) == 0

    async def unread(self, service: str, topic: Topic) -> int:
        """Records of a topic that a service has not settled."""
        connection = await self.connection()
        rows = await connection.fetch(
            f"select partition, next from {schema_of(service)}.consumer_offset where topic = $1 order by partition",
            topic.name,
        )
        known = {row["partition"]: row["next"] for row in rows}
        ends = await self._ends.read([topic])
        return sum(ends[topic.name, p] - known.get(p, 0) for p in range(topic.partitions))

    async def close(self) -> None:
        """Close what is open."""
        with contextlib.suppress(*AWAY):
            await self._ends.close()
        if self._connection is not None:
            await self._connection.close()

    async def count(self) -> int:
        """Events not relayed and records not consumed, and far too many while a job is open or a server is away."""
        try:
            connection = await self.connection()
            rows = await connection.fetch(_WAITING)
            waiting = sum(int(row["n"]) for row in rows)
            ends = await self._ends.read(TOPICS)
            known = {
                (row["service"], row["topic"], row["partition"]): row["next"] for row in await connection.fetch(_NEXT)
            }
        except AWAY:
            self.forget()
            return SMALL + 1
        for topic in TOPICS:
            for service in topic.consumers:
                for partition in range(topic.partitions):
                    end = ends[topic.name, partition]
                    waiting += max(end - known.get((service, topic.name, partition), 0), 0)
        return waiting
