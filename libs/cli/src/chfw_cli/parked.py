"""Records that services have parked: look at them, hand them in again, drop them.

Several services may have parked one record. It is one record all the same: all its readers get what is published again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from chfw_cli.chosen import FITS, Choice, rows_chosen
from chfw_cli.operator import write_down
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.columns import columns
from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.kafka.producer import KafkaProducer
from chfw_common.runtime.kept import Headers, is_utf8, kept_headers
from chfw_common.runtime.service import Change
from chfw_common.topology import SERVICES, schema_of

_CHOSEN = f"""
select id, topic, partition, "offset" from {{schema}}.parked_record
where {FITS}
"""
_COPIES = """
select p.* from {schema}.parked_record p
join unnest($1::text[], $2::int[], $3::bigint[]) u(topic, partition, "offset") using (topic, partition, "offset")
order by p.id
"""


@dataclass(frozen=True, slots=True)
class Copy:
    """A record as one service has parked it."""

    service: str
    id: int
    kind: str
    error: str
    parked_at: Instant
    chosen: bool

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.service}:{self.id}"


@dataclass(frozen=True, slots=True)
class ParkedRecord:
    """A record that services have parked; `offset` is where it stood when it was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    copies: tuple[Copy, ...]

    @property
    def may_be_published(self) -> bool:
        """Whether a client can write it. A header name that is not UTF-8 is refused by every reader anyway."""
        return all(is_utf8(name) for name, _ in self.headers)

    @property
    def errors(self) -> str:
        """What was wrong, service by service where they disagree."""
        said = {copy.error for copy in self.copies}
        return said.pop() if len(said) == 1 else "; ".join(f"{copy.service}: {copy.error}" for copy in self.copies)


async def find(connection: Any, choice: Choice) -> list[ParkedRecord]:
    """The records of which a copy fits the choice, each once with all its copies, oldest first."""
    places: set[tuple[str, int, int]] = set()
    chosen: set[tuple[str, int]] = set()
    for service, (number, *place) in await rows_chosen(connection, choice, _CHOSEN):
        places.add(tuple(place))
        chosen.add((service, number))
    if not places:
        return []
    copies = []
    for service in SERVICES:
        statement = _COPIES.format(schema=schema_of(service))
        copies += [(service, row) for row in await connection.fetch(statement, *columns(sorted(places)))]
    return _records(copies, chosen)


async def retry(connection: Any, kafka: KafkaAccess, records: Sequence[ParkedRecord]) -> list[ParkedRecord]:
    """Publish the records again, each once and unchanged, on their own partitions; says which were.

    All copies of a record are dropped once the broker has it, for every service reads it again. Ended in between, the
    next call publishes one a second time. It comes after newer records: handlers take an older version for what it is,
    also where the newer one left no row (docs/architecture.md, After parking).
    """
    producer = KafkaProducer(kafka, "chfw-parked")
    try:
        return [
            record for record in records if record.may_be_published and await _publish(connection, producer, record)
        ]
    finally:
        await producer.stop()


async def drop(connection: Any, records: Sequence[ParkedRecord]) -> None:
    """Forget the copies that were chosen; another service keeps its own."""
    async with connection.transaction():
        for record in records:
            await _forget(connection, (copy for copy in record.copies if copy.chosen))
        gone = ((record, copy) for record in records for copy in record.copies if copy.chosen)
        await write_down(connection, [(copy.service, _change("drop", record, copy, None)) for record, copy in gone])


async def _publish(connection: Any, producer: KafkaProducer, record: ParkedRecord) -> bool:
    """Publish a record unless another person has done so meanwhile."""
    async with connection.transaction():
        if not await _forget(connection, record.copies):
            return False
        sent = await producer.send(record.topic, record.partition, record.key, record.value, list(record.headers))
        await sent
        again = {"published": True}
        await write_down(connection, [(copy.service, _change("retry", record, copy, again)) for copy in record.copies])
    return True


def _change(verb: str, record: ParkedRecord, copy: Copy, after: dict[str, Any] | None) -> Change:
    value = sha256(record.value or b"").hexdigest()
    before = {"kind": copy.kind, "error": copy.error, "value": value}
    return Change(f"parked {verb}", f"{record.topic}/{record.partition}@{record.offset}", before, after)


async def _forget(connection: Any, copies: Iterable[Copy]) -> int:
    gone = 0
    for copy in copies:
        statement = f"delete from {schema_of(copy.service)}.parked_record where id = $1 returning id"
        gone += await connection.fetchval(statement, copy.id) is not None
    return gone


def _records(copies: Iterable[tuple[str, Any]], chosen: set[tuple[str, int]]) -> list[ParkedRecord]:
    """Copies put together. A topic that was made anew has another record at the same place."""
    found: dict[tuple[Any, ...], list[tuple[str, Any]]] = {}
    for service, row in copies:
        what = (row["topic"], row["partition"], row["offset"], row["key"], row["value"], row["headers"])
        found.setdefault(what, []).append((service, row))
    records = []
    for (topic, partition, offset, key, value, headers), rows in found.items():
        copies_of = tuple(
            Copy(
                service=service,
                id=row["id"],
                kind=row["kind"],
                error=row["error"],
                parked_at=row["parked_at"],
                chosen=(service, row["id"]) in chosen,
            )
            for service, row in rows
        )
        kept = kept_headers(orjson.loads(headers))
        records.append(ParkedRecord(topic, partition, offset, key, value, kept, copies_of))
    records.sort(key=lambda record: (min(copy.parked_at for copy in record.copies), record.offset))
    return [record for record in records if any(copy.chosen for copy in record.copies)]
