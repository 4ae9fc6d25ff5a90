"""A log whose records a service settles as it does those of Kafka: through the consume core, one after the other."""

from itertools import count
from typing import Any

from chfw_common.kernel.instants import Instant
from chfw_common.runtime import envelope
from chfw_common.runtime.consume import ConsumeCore, Settled
from chfw_common.runtime.database import Database
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.service import Now, Record, Service
from chfw_common.topology import Topic, partition_of_key

_numbers = count()


class Log:
    """One partition of a topic as a service reads it."""

    def __init__(self, service: Service, database: Database, topic: Topic, key: bytes) -> None:
        self._core = ConsumeCore(service, database, Metrics(service.name, service.consumes))
        self._database, self._topic, self._key = database, topic, key
        self._partition = partition_of_key(key, topic.partitions)
        self._end = 0

    async def settle(self, now: Now, *events: Any) -> Settled:
        """Append records, each under an id of its own, and settle them as one offer."""
        return await self.settle_records(now, *(self.record(event, now()) for event in events))

    def record(self, event: Any, sent_at: Instant) -> Record:
        """The record of an event at the end of the log; it is not offered to anybody yet."""
        ce_id = envelope.event_id("test", self._topic.name, self._key, next(_numbers))
        headers = envelope.headers(ce_id, event.TYPE, self._topic.producer, sent_at, sent_at)
        value = event.model_dump_json().encode()
        made = Record(self._topic.name, self._partition, self._end, self._key, value, tuple(headers))
        self._end += 1
        return made

    async def settle_records(self, now: Now, *records: Record) -> Settled:
        """Settle records of this log."""
        async with self._database.transaction() as tx:
            await tx.execute(
                """insert into consumer_offset (topic, partition, topic_id, next) values ($1, $2, 'id', 0)
                   on conflict (topic, partition) do nothing""",
                self._topic.name,
                self._partition,
            )
        return await self._core.settle(self._topic, self._partition, records, now)
