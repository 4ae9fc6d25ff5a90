"""What only Kafka does; the local broker is shown not to (strictly: should it learn, these fail)."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from chfw_common.runtime.accepting import Decision, accept, propose
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.contiguity import Finding, check_contiguity
from chfw_common.runtime.kafka.ends import EndOffsets
from chfw_common.runtime.kafka.holes import read_held
from chfw_common.runtime.kafka.topics import TopicMismatchError
from chfw_common.runtime.offsets import lock_position
from chfw_common.topology import Topic
from tests.support.gaps import create_with_hole, put_in_transactions
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
    assert hasattr(stand.broker, "access") or stand.broker.name == "local"
    return stand.broker  # type: ignore[return-value]


async def test_markers_of_transactions_are_no_hole(stand: "Stand", kafka: "RealKafka") -> None:
    """A marker takes an offset and is no record; a consumer is not told of it."""
    await put_in_transactions(kafka.access, stand.topic, range(3))
    context = stand.context()
    async with running(stand.source(context).run()):
        await stand.reached(5)
        await stand.put([7, 8])
        await stand.reached(8)
    assert (context.stopped, stand.alarmed) == (frozenset(), False)
    assert await stand.taken(0) == [0, 1, 2, 7, 8]
    stepped = await stand.fetch("select first, beyond, kind, reason from stepped_over order by first")
    assert stepped == [(n, n + 1, "control", "control records of transactions") for n in (1, 3, 5)]
    assert await findings(stand) == []


async def test_an_aborted_transaction_leaves_no_hole_either(stand: "Stand", kafka: "RealKafka") -> None:
    """Two markers may follow each other, and the log may begin with one."""
    producer = AIOKafkaProducer(**kafka.access.client(), transactional_id=f"aborts-{stand.number}")
    await producer.start()
    try:
        for partition in (0, 1):
            await producer.begin_transaction()
            headers = toy_headers(stand.topic, toy_id(1))
            await producer.send_and_wait(
                stand.topic.name, b'{"n":1}', key_of(partition, 4), partition=partition, headers=headers
            )
            await producer.abort_transaction()
        await stand.broker.truncate(stand.topic, 1, 1)
    finally:
        await producer.stop()
    await stand.put([2], partition=0)
    async with running(stand.source().run()):
        await stand.reached(3)
    assert await findings(stand) == []


async def findings(stand: "Stand", topic: Topic | None = None) -> list[Finding]:
    async with stand.database.transaction() as tx:
        return await check_contiguity(tx, "toy", (topic or stand.topic).name)


async def test_a_hole_in_the_log_itself_stops_that_partition_alone_until_a_person_decides(
    stand: "Stand", kafka: "RealKafka", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chfw_common.runtime.kafka.source.LOOK_EVERY", 0.1)
    topic = stand.new_topic()
    await create_with_hole(kafka.access, topic)
    context = stand.context(topic)
    async with running(stand.source(context, topic).run()):

        async def stopped() -> bool:
            return context.stopped == {(topic.name, 0)}

        await eventually(stopped)
        await stand.put([7], partition=2, topic=topic)
        await stand.reached(1, 2, topic)
        assert (await stand.taken(0, topic), await stand.next(0, topic)) == ([0], 1)
        assert stand.alarmed
        assert stand.stopped_series() == {(topic.name, "0")}
        assert f"{topic.name}/0" in (context.stops.told() or "")
        ends = EndOffsets(kafka.access)
        log = (await ends.logs({topic.name: [0]}))[topic.name, 0]
        await ends.close()
        held = await read_held(kafka.access, topic.name, 0, 1, log.end)
        async with stand.database.transaction() as tx:
            proposal = propose(await lock_position(tx, topic.name, 0), log, held)
            assert proposal is not None
            await accept(tx, topic.name, 0, proposal, Decision("compacted", "Jo", machine_now()))
        await stand.reached(log.end, 0, topic)
    assert (context.stopped, stand.alarmed, stand.stopped_series()) == (frozenset(), False, set())
    assert held.record in {2, 3}
    assert await stand.taken(0, topic) == [0, *range(held.record, 4)]
    assert await stand.fetch("select first, beyond, kind, reason, decided_by from stepped_over") == [
        (1, held.record, "decided", "compacted", "Jo")
    ]
    assert await findings(stand, topic) == []


async def test_a_topic_made_anew_is_read_once_a_person_has_accepted_it(
    stand: "Stand", kafka: "RealKafka", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chfw_common.runtime.kafka.source.LOOK_EVERY", 0.1)
    stand.toy.refuse, stand.toy.out = {1, 101}, stand.new_topic()
    await stand.put(range(5))
    async with running(stand.source().run()):
        await stand.reached(5)
    await stand.broker.recreate(stand.topic)
    await stand.put(range(100, 103))
    context, ends = stand.context(), EndOffsets(kafka.access)
    async with running(stand.source(context).run()):

        async def all_stopped() -> bool:
            return len(context.stopped) == 4

        await eventually(all_stopped)
        logs = await ends.logs({stand.topic.name: range(4)})
        await ends.close()
        async with stand.database.transaction() as tx:
            for partition in range(4):
                position = await lock_position(tx, stand.topic.name, partition)
                proposal = propose(position, logs[stand.topic.name, partition], None)
                assert proposal is not None
                decision = Decision("the broker was set up anew", "Jo", machine_now())
                await accept(tx, stand.topic.name, partition, proposal, decision)
        await stand.reached(3)
        await stand.put([200], partition=3)
        await stand.reached(1, 3)
    assert (context.stopped, stand.alarmed) == (frozenset(), False)
    assert await stand.taken() == [0, 2, 3, 4, 100, 102]
    assert [offset for offset, _, _ in await stand.parked()] == [1, 1]
    ids = await stand.fetch("select event_id from outbox")
    assert len(set(ids)) == len(ids), "an event of the new log has the id of one of the old"
    assert await findings(stand) == []
    kept = await stand.fetch(
        """select next_before, next_after, incarnation_after, reason, decided_by from position_decision
           order by partition"""
    )
    assert kept == [(5, 0, 1, "the broker was set up anew", "Jo")] + [
        (0, 0, 1, "the broker was set up anew", "Jo") for _ in range(3)
    ]


async def test_another_number_of_partitions_is_refused(stand: "Stand", kafka: "RealKafka") -> None:
    odd = stand.new_topic()
    admin = AIOKafkaAdminClient(**kafka.access.client())
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
    admin = AIOKafkaAdminClient(**kafka.access.client())
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
