"""Whatever a record is, it is handled or parked, byte for byte, and the partition goes on."""

import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.instants import parse_instant
from chfw_common.runtime.consume import ConsumeCore
from chfw_common.runtime.database import Database, open_database
from chfw_common.runtime.kept import kept_headers
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.service import Batch, Consume, Now, Outcome, Record, Service, Tx
from chfw_common.topology import TOPICS, Topic, partition_of_key
from tests.support import toy
from tests.support.events import Json, mutated, odd_headers
from tests.support.fuzzing import inputs
from tests.support.times import still

NOW = parse_instant("2026-10-01T09:00:00Z")


@pytest.fixture
async def database(toy_dsn: str) -> AsyncIterator[Database]:
    opened = await open_database(toy_dsn, toy.NAME)
    yield opened
    await opened.close()


def texts(part: object) -> list[str]:
    """Every text of an event."""
    if isinstance(part, dict):
        return [text for one in (*part, *part.values()) for text in texts(one)]
    if isinstance(part, tuple | list):
        return [text for one in part for text in texts(one)]
    return [part] if isinstance(part, str) else []


class Storing:
    """A handler that stores every text it gets, as those of the services do."""

    async def handle(self, tx: Tx, batch: Batch, _now: Now) -> Outcome:  # type: ignore[type-arg]
        """Store the events."""
        for event in batch.events:
            await tx.executemany(
                "insert into taken (topic) values ($1)", [(text,) for text in texts(event.model_dump())]
            )
        return Outcome()


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: str(topic.name))
@inputs(quick=25, long=500)
@given(data=st.data())
async def test_any_record_is_handled_or_parked(database: Database, topic: Topic, data: st.DataObject) -> None:
    core = ConsumeCore(Service(toy.NAME, {topic: Consume(Storing().handle)}), database, Metrics(toy.NAME, ()))
    key = data.draw(st.none() | st.binary(max_size=20))
    partition = data.draw(st.integers(0, topic.partitions - 1)) if key is None else 0
    if key is not None and data.draw(st.booleans()):
        partition = partition_of_key(key, topic.partitions)
    value = data.draw(st.none() | st.binary() | Json.map(json.dumps).map(str.encode) | mutated(topic))
    async with database.transaction() as tx:
        await tx.execute("truncate parked_record, out_of_line, taken")
        due = await tx.fetchval(
            """insert into consumer_offset (topic, partition, topic_id, next) values ($1, $2, 'id', 0)
               on conflict (topic, partition) do update set topic = excluded.topic returning next""",
            topic.name,
            partition,
        )
    record = Record(topic.name, partition, due, key, value, tuple(data.draw(odd_headers(topic))))
    settled = await core.settle(topic, partition, [record], still(NOW))
    assert (settled.next_offset, settled.applied + settled.parked) == (due + 1, 1)
    async with database.transaction() as tx:
        rows = await tx.fetch("select * from parked_record")
    assert len(rows) == settled.parked
    for row in rows:
        assert (row["key"], row["value"], row["kind"]) == (key, value, "invalid")
        assert kept_headers(row["headers"]) == record.headers
