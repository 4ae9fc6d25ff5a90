"""Records that a service has parked: look at them, hand them in again, drop them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.kafka.producer import KafkaProducer
from chfw_common.runtime.kept import Headers, kept_headers
from chfw_common.topology import SERVICES, schema_of


@dataclass(frozen=True, slots=True)
class ParkedRecord:
    """One parked record; `offset` is where it stood when it was read."""

    service: str
    id: int
    topic: str
    partition: int
    offset: int
    kind: str
    error: str
    parked_at: Instant
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Choice:
    """Which records are meant: those that fit every condition given."""

    service: str | None = None
    ids: tuple[int, ...] = ()
    error: str | None = None


async def find(connection: Any, choice: Choice) -> list[ParkedRecord]:
    """The records chosen, service by service, oldest first."""
    found = []
    for service in SERVICES if choice.service is None else (choice.service,):
        rows = await connection.fetch(
            f"""select * from {schema_of(service)}.parked_record
                where (cardinality($1::bigint[]) = 0 or id = any($1)) and ($2::text is null or strpos(error, $2) > 0)
                order by id""",
            list(choice.ids),
            choice.error,
        )
        found += [_record(service, row) for row in rows]
    return found


async def retry(connection: Any, bootstrap: str, records: Sequence[ParkedRecord]) -> None:
    """Publish the records again, unchanged, on their own partitions; each is dropped once the broker has it.

    Ended in between, the next call publishes some a second time. Both come after newer records: handlers take an older
    version for what it is, also where the newer one left no row (docs/architecture.md, After parking).
    """
    producer = KafkaProducer(bootstrap, "chfw-parked")
    try:
        for record in records:
            sent = await producer.send(record.topic, record.partition, record.key, record.value, list(record.headers))
            await sent
            await drop(connection, [record])
    finally:
        await producer.stop()


async def drop(connection: Any, records: Sequence[ParkedRecord]) -> None:
    """Forget the records."""
    for record in records:
        await connection.execute(f"delete from {schema_of(record.service)}.parked_record where id = $1", record.id)


def _record(service: str, row: Any) -> ParkedRecord:
    headers = orjson.loads(row["headers"])
    return ParkedRecord(
        service=service,
        id=row["id"],
        topic=row["topic"],
        partition=row["partition"],
        offset=row["offset"],
        kind=row["kind"],
        error=row["error"],
        parked_at=row["parked_at"],
        key=row["key"],
        value=row["value"],
        headers=kept_headers(headers),
    )
