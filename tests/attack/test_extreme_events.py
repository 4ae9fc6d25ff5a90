"""Whatever an event says within its bounds, every service that reads it takes it in: nothing is parked.

The values are those at which something could break: the bounds of every field, the longest texts, ids that are new.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chfw_common.events.base import Event
from chfw_common.events.decision import RolloutDecision
from chfw_common.events.release import ReleaseNotified
from chfw_common.runtime import envelope
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.consume import ConsumeCore
from chfw_common.runtime.database import Database, open_database
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.service import Record, Tx
from chfw_common.topology import TOPICS, Key, Topic, partition_of_key
from tests.service.documents.stand import composed
from tests.support.databases import Databases
from tests.support.events import events
from tests.support.fuzzing import inputs
from tests.support.release import NOW
from tests.support.times import still

CONSUMED = [(service, topic) for topic in TOPICS for service in topic.consumers]


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    """One database for all: what one event has left there meets the next."""
    made = databases.clone("chfw", databases.install)
    yield made
    databases.drop(made)


@pytest.fixture
async def database(dsn: str, service: str) -> AsyncIterator[Database]:
    """The service's own schema, beside those of the others."""
    opened = await open_database(dsn, service, connections=2)
    yield opened
    await opened.close()


async def next_in_line(tx: Tx, topic: Topic, event: Event) -> Event:
    """The same with the number that is due, where a release has a line of such events; any other is parked."""
    if not isinstance(event, RolloutDecision | ReleaseNotified):
        return event
    due = await tx.fetchval(
        "select count(*) + 1 from line_taken where topic = $1 and release_id = $2", topic.name, event.release_id
    )
    if isinstance(event, ReleaseNotified):
        return event.model_copy(update={"version": due})
    return event.model_copy(update={"epoch": due, "min_epoch": min(event.min_epoch, due)})


@pytest.mark.parametrize(("service", "topic"), CONSUMED, ids=[f"{service}-{topic.name}" for service, topic in CONSUMED])
@inputs(quick=12, long=400)
@given(data=st.data())
async def test_an_event_within_its_bounds_is_taken_in(
    database: Database, service: str, topic: Topic, data: st.DataObject
) -> None:
    built = composed(service)
    core = ConsumeCore(built, database, Metrics(service, built.consumes))
    event = data.draw(events(topic))
    key = b"CH-9-2" if topic.key is Key.RELEASE else b"%016x" % data.draw(st.integers(1, 3))
    partition = partition_of_key(key, topic.partitions)
    async with database.transaction() as tx:
        due = await tx.fetchval(
            """insert into consumer_offset (topic, partition, topic_id, next) values ($1, $2, 'id', 0)
               on conflict (topic, partition) do update set topic = excluded.topic returning next""",
            topic.name,
            partition,
        )
        value = (await next_in_line(tx, topic, event)).model_dump_json().encode()
    event_id = envelope.event_id("test", topic.name, key, due)
    headers = envelope.headers(event_id, topic.event.TYPE, topic.producer, NOW, machine_now())
    record = Record(topic.name, partition, due, key, value, tuple(headers))
    settled = await core.settle(topic, partition, [record], still(NOW))
    assert (settled.applied, settled.parked) == (1, 0)
