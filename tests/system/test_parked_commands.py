"""What a person does about parked records and unsent events, on the real broker and the schemas of all services."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
import pytest

from chfw_cli import parked, unsent
from chfw_cli.chosen import Choice, ChoiceError, choose
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.kept import Headers, keep_headers
from chfw_common.topology import BULK_LANE, schema_of
from tests.support.brokers import RealKafka
from tests.support.servers import RunningKafka
from tests.support.toy import key_of, toy_topic

pytest_plugins = ["tests.support.servers", "tests.support.databases"]

READERS = ("instruction", "scheduler", "device-sim", "governance")
VALUE = b'{"n":1}'
HEADERS: Headers = (("x", b"\0\xff"),)


@pytest.fixture
async def owner(chfw_dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(chfw_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def kafka(kafka_server: RunningKafka) -> AsyncIterator[RealKafka]:
    broker = RealKafka(kafka_server)
    yield broker
    await broker.close()


async def park(
    owner: Any, service: str, topic: str, offset: int, *, headers: Headers = HEADERS, value: bytes = VALUE
) -> str:
    number = await owner.fetchval(
        f"""insert into {schema_of(service)}.parked_record
                (topic, partition, "offset", key, value, headers, kind, error, parked_at)
            values ($1, 0, $2, $3, $4, $5, 'invalid', $6, $7) returning id""",
        topic,
        offset,
        key_of(0, 4),
        value,
        orjson.dumps(keep_headers(headers)).decode(),
        f"{service} says no",
        machine_now(),
    )
    return f"{service}:{number}"


async def left(owner: Any, table: str = "parked_record") -> int:
    counts = [await owner.fetchval(f"select count(*) from {schema_of(service)}.{table}") for service in READERS]
    return sum(counts)


async def test_a_record_parked_by_four_services_is_one_line_and_published_once(
    owner: Any, chfw_dsn: str, kafka: RealKafka
) -> None:
    topic = toy_topic(f"toy.parked.{uuid4()}")
    await kafka.create(topic)
    names = [await park(owner, service, topic.name, 7) for service in READERS]
    found = await parked.find(owner, choose(None, None, None))
    assert [[copy.name for copy in record.copies] for record in found] == [names]
    second = await asyncpg.connect(chfw_dsn)
    done = await asyncio.gather(*(parked.retry(each, kafka.access, found) for each in (owner, second)))
    await second.close()
    assert sorted(map(len, done)) == [0, 1], "two persons at once"
    (record,) = await kafka.log(topic, 0)
    assert (record.key, record.value, record.headers) == (key_of(0, 4), VALUE, HEADERS)
    assert await left(owner) == 0


async def test_retry_of_one_copy_is_a_retry_of_the_record(owner: Any, kafka: RealKafka) -> None:
    """Every reader gets what is published, so no copy may be published a second time."""
    topic = toy_topic(f"toy.parked.{uuid4()}")
    await kafka.create(topic)
    names = [await park(owner, service, topic.name, 7) for service in READERS]
    await parked.retry(owner, kafka.access, await parked.find(owner, choose(None, [names[1]], None)))
    assert len(await kafka.log(topic, 0)) == 1
    assert await left(owner) == 0


async def test_an_id_names_one_record_of_one_service(owner: Any) -> None:
    names = [await park(owner, service, "toy", offset) for offset, service in enumerate(READERS)]
    assert {name.partition(":")[2] for name in names} == {"1"}, "the numbers are the same"
    await parked.drop(owner, await parked.find(owner, choose(None, ["scheduler:1"], None)))
    rest = await parked.find(owner, choose(None, None, None))
    assert sorted(copy.name for record in rest for copy in record.copies) == [
        "device-sim:1", "governance:1", "instruction:1",
    ]  # fmt: skip


async def test_drop_leaves_what_another_service_has_parked(owner: Any) -> None:
    for service in READERS:
        await park(owner, service, "toy", 7)
    await parked.drop(owner, await parked.find(owner, choose("scheduler", None, "says no")))
    (record,) = await parked.find(owner, choose(None, None, None))
    assert {copy.service for copy in record.copies} == set(READERS) - {"scheduler"}


async def test_a_record_of_a_topic_made_anew_is_another_one(owner: Any) -> None:
    await park(owner, "scheduler", "toy", 7)
    await park(owner, "governance", "toy", 7, value=b"another")
    assert len(await parked.find(owner, choose(None, None, None))) == 2


async def test_an_id_means_one_of_two_records_at_the_same_place(owner: Any) -> None:
    """The service has parked the record of a log, and that of the log which took its place."""
    old = await park(owner, "scheduler", "toy", 7)
    await owner.execute("update scheduler.parked_record set incarnation = 1")
    new = await park(owner, "scheduler", "toy", 7, value=b"another")
    await parked.drop(owner, await parked.find(owner, choose(None, [old], None)))
    (record,) = await parked.find(owner, choose(None, None, None))
    assert ([copy.name for copy in record.copies], record.value) == ([new], b"another")


async def test_a_record_that_no_client_can_write_stays(owner: Any, kafka: RealKafka) -> None:
    await park(owner, "scheduler", "toy", 7, headers=(("\udcff", b""),))
    found = await parked.find(owner, choose(None, None, None))
    assert not found[0].may_be_published
    assert await parked.retry(owner, kafka.access, found) == []
    assert await left(owner) == 1


@pytest.mark.parametrize("text", ["1", "nobody:1", "scheduler:", "scheduler:x", ":1", "scheduler:-1"])
def test_an_id_without_its_service_names_nothing(text: str) -> None:
    with pytest.raises(ChoiceError, match="SERVICE:NUMBER"):
        choose(None, [text], None)


def test_a_number_alone_counts_within_the_service_named() -> None:
    assert choose("scheduler", ["1"], None).ids == (("scheduler", 1),)
    with pytest.raises(ChoiceError):
        choose("scheduler", ["governance:1"], None)
    with pytest.raises(ChoiceError, match="no service"):
        choose("nobody", None, None)


async def unsendable(owner: Any, service: str) -> None:
    await owner.execute(
        f"""insert into {schema_of(service)}.parked_event (lane, topic, partition, key, event_id, event_type,
                event_time, payload, written_at, error, parked_at)
            values ($1, 'toy', 0, 'k', $2, 't', $3, $4, $3, 'too large', $3)""",
        BULK_LANE,
        uuid4(),
        machine_now(),
        VALUE,
    )


async def test_an_unsent_event_goes_back_into_the_outbox_of_its_service(owner: Any) -> None:
    for service in READERS:
        await unsendable(owner, service)
    (event,) = await unsent.find(owner, choose(None, ["scheduler:1"], None))
    assert (event.name, event.error, event.bytes) == ("scheduler:1", "too large", len(VALUE))
    await unsent.send_again(owner, [event])
    await unsent.send_again(owner, [event])
    rows = await owner.fetch("select event_id, payload, lane from scheduler.outbox")
    assert [tuple(row) for row in rows] == [(event.event_id, VALUE, BULK_LANE)]
    assert await left(owner, "parked_event") == len(READERS) - 1
    await unsent.drop(owner, await unsent.find(owner, Choice()))
    assert await left(owner, "parked_event") == 0
    assert await left(owner, "outbox") == 1
