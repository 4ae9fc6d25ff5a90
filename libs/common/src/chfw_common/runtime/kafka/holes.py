"""What a log holds where a source offers nothing: control records, records, or a real hole.

A transaction ends with a control record, which takes an offset and is never offered to a consumer. aiokafka skips it
without a word, so the log itself is read. Holes are rare: each look has a connection of its own.
"""

from collections.abc import Iterable
from typing import Any

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import CorruptRecordException, KafkaError, for_code
from aiokafka.protocol.fetch import FetchRequest

from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.kafka.closing import ended
from chfw_common.runtime.kafka.header_names import AnyHeaderNames
from chfw_common.runtime.positions import Held

REQUEST_TIMEOUT_MS = 5_000
MAX_BYTES = 2 * 1024 * 1024
_READ_UNCOMMITTED = 0


async def read_held(access: KafkaAccess, topic: str, partition: int, first: int, beyond: int) -> Held:
    """What the log holds from `first` on; the search for a record ends at `beyond`. Raises TransientError."""
    client = AIOKafkaClient(**access.client(), request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await client.bootstrap()
        await client.set_topics([topic])
        held, at = Held(first), first
        while held.record is None and at < beyond:
            batches = await _fetch(client, topic, partition, at)
            held, at = held_in(batches, held, at)
        return held
    except (KafkaError, OSError) as error:
        raise TransientError(f"the log of {topic}/{partition} cannot be read: {error!r}") from error
    finally:
        await ended(client.close())


def held_in(batches: Iterable[Any], held: Held, at: int) -> tuple[Held, int]:
    """What is known after the batches of a fetch from `at` on, and where to read on."""
    for batch in batches:
        if batch.next_offset <= at:
            continue
        if batch.is_control_batch:
            adjoins = held.controls == at and batch.base_offset <= at
            at = batch.next_offset
            held = Held(at) if adjoins else held
            continue
        found = next((record.offset for record in batch if record.offset >= at), None)
        if found is not None:
            return Held(held.controls, found), found
        at = batch.next_offset
    return held, at


async def _fetch(client: AIOKafkaClient, topic: str, partition: int, at: int) -> list[Any]:
    """The batches of the log from `at` on. Raises KafkaError, also where there is nothing."""
    leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
    request = FetchRequest(500, 1, MAX_BYTES, _READ_UNCOMMITTED, [(topic, [(partition, at, MAX_BYTES)])])
    response = await client.send(leader, request)
    (_, [(_, error_code, *rest)]) = response.topics[0]
    if error_code:
        raise for_code(error_code)(f"{topic}/{partition} at {at}")
    batches = []
    records = AnyHeaderNames(rest[-1])
    while records.has_next():
        batch = records.next_batch()
        if not batch.validate_crc():
            raise CorruptRecordException(f"{topic}/{partition} at {at}")
        batches.append(batch)
    if not batches:
        raise KafkaError(f"{topic}/{partition}: nothing was read at {at}")
    return batches
