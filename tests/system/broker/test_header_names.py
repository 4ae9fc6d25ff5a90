"""Headers whose names are not UTF-8: both sources park such a record byte for byte, and the partition goes on."""

import struct
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from chfw_common.runtime.faust_source import FaustSource
from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.kafka.source import KafkaSource
from chfw_common.runtime.kept import kept_headers
from tests.support.brokers import RealKafka
from tests.support.stands import Stand
from tests.support.toy import key_of, toy_headers, toy_id
from tests.support.waiting import running

if TYPE_CHECKING:
    from chfw_common.runtime.database import Database
    from tests.support.servers import RunningKafka

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]

PLAIN = "not-utf8"
NAME = b"\xff\xfe\x00\x80tf-\xc3"
"""As long as the name it takes the place of."""
CRC_AT, CRC_FROM = 17, 21
"""Where the checksum of a batch stands, and from where on it is taken."""


@pytest.fixture
async def kafka_stand(kafka_server: "RunningKafka", toy_database: "Database") -> AsyncIterator[Stand]:
    broker = RealKafka(kafka_server)
    stand = Stand(broker, toy_database)
    await broker.create(stand.topic)
    yield stand
    await broker.close()


async def put_strange(stand: Stand, access: KafkaAccess) -> None:
    """A batch of three records of partition 0; the one in the middle has a header that no text client can write."""
    producer = AIOKafkaProducer(**access.client(), compression_type=None)
    await producer.start()
    try:
        builder = producer.create_batch()
        for n in (1, 2, 3):
            headers = [*toy_headers(stand.topic, toy_id(n)), *([(PLAIN, b"\xff")] if n == 2 else [])]
            builder.append(timestamp=None, key=key_of(0, 4), value=b'{"n":%d}' % n, headers=headers)
        data = bytearray(builder._build())  # noqa: SLF001 - the client encodes names, Kafka does not
        at = data.index(PLAIN.encode())
        data[at : at + len(NAME)] = NAME
        struct.pack_into(">I", data, CRC_AT, calc_crc32c(data[CRC_FROM:]))
        builder._buffer = bytes(data)  # noqa: SLF001
        sent = await producer.send_batch(builder, stand.topic.name, partition=0)
        await sent
    finally:
        await producer.stop()


def source(stand: Stand, kind: str, access: KafkaAccess) -> KafkaSource | FaustSource:
    group = f"strange-{kind}-{stand.number}"
    if kind == "kafka":
        return KafkaSource(stand.context(), [stand.topic], access=access, group=group)
    return FaustSource(stand.context(), stand.topic, access=access, group=group, instance="0")


@pytest.mark.parametrize("kind", ["kafka", "faust"])
async def test_a_header_name_that_is_not_utf8_is_parked_byte_for_byte(
    kafka_stand: Stand, kafka_server: "RunningKafka", kind: str
) -> None:
    stand = kafka_stand
    await stand.put([0])
    await put_strange(stand, kafka_server.access)
    await stand.put([4])
    async with running(source(stand, kind, kafka_server.access).run()):
        await stand.reached(5)
    assert await stand.taken() == [0, 1, 3, 4]
    assert await stand.parked() == [(2, "invalid", "the name of a header is not UTF-8")]
    ((key, value, headers),) = await stand.fetch("select key, value, headers from parked_record")
    assert (key, value) == (key_of(0, 4), b'{"n":2}')
    name, content = kept_headers(headers)[-1]
    assert (name.encode("utf-8", "surrogateescape"), content) == (NAME, b"\xff")
