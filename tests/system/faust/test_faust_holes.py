"""Holes under Faust, on a real Kafka: markers of transactions are none; one of the log stops its partition alone."""

from typing import TYPE_CHECKING

import pytest

from chfw_common.runtime import faust_source
from chfw_common.runtime.accepting import Decision, accept, propose
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.contiguity import check_contiguity
from chfw_common.runtime.database import Database
from chfw_common.runtime.faust_source import FaustSource, PositionDecidedError
from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.kafka.ends import EndOffsets
from chfw_common.runtime.kafka.holes import read_held
from chfw_common.runtime.offsets import lock_position
from chfw_common.runtime.source import SourceContext
from chfw_common.topology import Topic
from tests.support.brokers import RealKafka
from tests.support.gaps import create_with_hole, put_in_transactions
from tests.support.stands import Stand
from tests.support.waiting import eventually, running

if TYPE_CHECKING:
    from tests.support.servers import RunningKafka

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]


@pytest.fixture
async def kafka_stand(kafka_server: "RunningKafka", toy_database: Database) -> Stand:
    return Stand(RealKafka(kafka_server), toy_database)


def source(stand: Stand, kafka: "RunningKafka", context: SourceContext, topic: Topic) -> FaustSource:
    group = f"faust-{topic.name.replace('.', '-')}"
    return FaustSource(context, topic, access=kafka.access, group=group, instance=str(stand.number))


async def test_markers_of_transactions_are_no_hole(kafka_stand: Stand, kafka_server: "RunningKafka") -> None:
    stand, topic = kafka_stand, kafka_stand.topic
    await stand.broker.create(topic)
    await put_in_transactions(kafka_server.access, topic, range(3))
    context = stand.context()
    async with running(source(stand, kafka_server, context, topic).run()):
        await stand.reached(5)
        await stand.put([7, 8])
        await stand.reached(8)
    await stand.broker.close()
    assert (context.stopped, stand.alarmed) == (frozenset(), False)
    assert await stand.taken(0) == [0, 1, 2, 7, 8]
    async with stand.database.transaction() as tx:
        assert await check_contiguity(tx, "toy", topic.name) == []


async def test_a_hole_of_the_log_stops_that_partition_alone_until_a_person_decides(
    kafka_stand: Stand, kafka_server: "RunningKafka", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process goes on; once a person has decided it ends, and the next one reads on."""
    monkeypatch.setattr(faust_source, "LOOK_EVERY", 0.1)
    stand, topic = kafka_stand, kafka_stand.topic
    await create_with_hole(kafka_server.access, topic)
    with pytest.raises(PositionDecidedError):
        await stops_until_decided(stand, kafka_server)
    async with running(source(stand, kafka_server, stand.context(), topic).run()):
        await stand.reached(4)
    await stand.broker.close()
    assert (await stand.taken(0))[-1] == 3
    async with stand.database.transaction() as tx:
        assert await check_contiguity(tx, "toy", topic.name) == []


async def stops_until_decided(stand: Stand, kafka: "RunningKafka") -> None:
    context, topic = stand.context(), stand.topic

    async def stopped() -> bool:
        return context.stopped == {(topic.name, 0)}

    async with running(source(stand, kafka, context, topic).run()):
        await eventually(stopped)
        await stand.put([7], partition=2)
        await stand.reached(1, 2)
        assert (await stand.taken(0), await stand.next(0)) == ([0], 1)
        await step_over(stand, kafka.access, topic)
        await eventually(never)


async def never() -> bool:
    return False


async def step_over(stand: Stand, access: KafkaAccess, topic: Topic) -> None:
    ends = EndOffsets(access)
    log = (await ends.logs({topic.name: [0]}))[topic.name, 0]
    await ends.close()
    held = await read_held(access, topic.name, 0, 1, log.end)
    async with stand.database.transaction() as tx:
        proposal = propose(await lock_position(tx, topic.name, 0), log, held)
        assert proposal is not None
        await accept(tx, topic.name, 0, proposal, Decision("compacted", "Jo", machine_now()))
