"""What only Kafka does; the local broker is shown not to (strictly: should it learn, these fail)."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from chfw_common.runtime.kafka.topics import TopicMismatchError
from tests.support.toy import key_of, toy_headers, toy_id
from tests.support.waiting import eventually, running

if TYPE_CHECKING:
    from tests.support.brokers import RealKafka
    from tests.support.stands import Stand

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]


@pytest.fixture
def kafka(stand: "Stand", request: pytest.FixtureRequest) -> "RealKafka":
    if stand.broker.name == "local":
        request.applymarker(pytest.mark.xfail(raises=AttributeError, strict=True, reason="it has no address"))
    assert hasattr(stand.broker, "bootstrap") or stand.broker.name == "local"
    return stand.broker  # type: ignore[return-value]


async def test_a_gap_in_the_log_itself_stops_that_partition_alone(stand: "Stand", kafka: "RealKafka") -> None:
    """Transactions leave markers in the log, which are offsets without a record."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=f"gap-{stand.number}")
    await producer.start()
    try:
        for n in range(3):
            async with producer.transaction():
                headers = toy_headers(stand.topic, toy_id(n))
                await producer.send_and_wait(
                    stand.topic.name, b'{"n":%d}' % n, key_of(0, 4), partition=0, headers=headers
                )
    finally:
        await producer.stop()
    context = stand.context()
    async with running(stand.source(context).run()):

        async def stopped() -> bool:
            return context.stopped == {(stand.topic.name, 0)}

        await eventually(stopped)
        await stand.put([7], partition=2)
        await stand.reached(1, 2)
    assert stand.alarmed
    assert await stand.taken(0) == [0]
    assert await stand.next(0) == 1


async def test_another_number_of_partitions_is_refused(stand: "Stand", kafka: "RealKafka") -> None:
    odd = stand.new_topic()
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(odd.name, 3, 1)])
    finally:
        await admin.close()
    with pytest.raises(TopicMismatchError, match="4 partitions expected, found: 3"):
        async with running(stand.source(None, odd).run()), asyncio.timeout(20):
            await asyncio.Event().wait()


async def test_kafkas_own_offsets_follow_what_was_settled(
    stand: "Stand", kafka: "RealKafka", monkeypatch: pytest.MonkeyPatch
) -> None:
    """For lag tools: a partition that is stopped keeps its lag."""
    monkeypatch.setattr("chfw_common.runtime.kafka.source.COMMIT_EVERY", 0.0)
    await stand.put(range(5), partition=0)
    await stand.put(range(10, 15), partition=1)
    await stand.broker.truncate(stand.topic, 1, 2)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        async with running(stand.source().run()):

            async def committed() -> bool:
                found = await admin.list_consumer_group_offsets(f"toy-{stand.number}")
                offsets = {tp.partition: meta.offset for tp, meta in found.items() if meta.offset >= 0}
                return bool(offsets == {0: 5})

            await stand.reached(5)
            await eventually(committed)
    finally:
        await admin.close()
