"""Control: where the position lives decides whether a kill doubles. The handler counts, so a repeat shows.

Both programs are killed between the commit in Postgres and the commit in Kafka.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaProducer

from chfw_common.runtime.database import Database
from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.kafka.topics import create_topics
from chfw_common.topology import Key, Topic
from tests.support.killing import Watched, kafka_arguments
from tests.support.toy import key_of, toy_headers, toy_id, toy_topic
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.servers import RunningKafka

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]

RECORDS = 30


async def put(access: KafkaAccess, topic: Topic, numbers: Iterable[int]) -> None:
    """Append records to one partition."""
    producer = AIOKafkaProducer(**access.client(), enable_idempotence=True, acks="all")
    await producer.start()
    try:
        for n in numbers:
            headers = toy_headers(topic, toy_id(n))
            await producer.send_and_wait(topic.name, b'{"n":%d}' % n, key_of(0, 4), partition=0, headers=headers)
    finally:
        await producer.stop()


async def tally_after_a_kill(source: str, kafka: "RunningKafka", dsn: str, database: Database) -> dict[int, int]:
    """How often each record was counted by a program that was killed in the gap, and started again."""
    topic = toy_topic(f"toy.offsets_{source}", key=Key.RELEASE)
    await create_topics(kafka.access, [topic])
    await put(kafka.access, topic, range(RECORDS))

    async def tally() -> dict[int, int]:
        async with database.transaction() as tx:
            return {row["n"]: row["times"] for row in await tx.fetch("select n, times from tally order by n")}

    async def last_is_counted() -> bool:
        return RECORDS in await tally()

    program = Watched(
        (
            *("--dsn", dsn, *kafka_arguments(kafka.access), "--topic", topic.name, "--group", f"offsets-{source}"),
            *("--key", Key.RELEASE.value, "--source", source),
        )
    )
    async with program.opened():
        await program.start("stand_still")
        assert await program.says("settled")
        await program.kill()
        assert await tally(), "it was killed after the commit in Postgres"
        await put(kafka.access, topic, [RECORDS])
        await program.start()
        await eventually(last_is_counted)
    return await tally()


async def test_offsets_in_kafka_double(kafka_server: "RunningKafka", toy_dsn: str, toy_database: Database) -> None:
    tally = await tally_after_a_kill("trusting", kafka_server, toy_dsn, toy_database)
    assert max(tally.values()) == 2
    assert tally[RECORDS] == 1


async def test_offsets_in_postgres_do_not(kafka_server: "RunningKafka", toy_dsn: str, toy_database: Database) -> None:
    tally = await tally_after_a_kill("kafka", kafka_server, toy_dsn, toy_database)
    assert tally == dict.fromkeys(range(RECORDS + 1), 1)
