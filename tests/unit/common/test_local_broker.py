"""The broker in memory: offsets, cut logs, ids of topics, and who reads what."""

import pytest

from chfw_common.simulation.broker import LocalBroker, LocalProducer
from tests.support.toy import toy_topic

TOPIC = toy_topic("toy.happened")
NAME = TOPIC.name


@pytest.fixture
def broker() -> LocalBroker:
    return LocalBroker([TOPIC])


def fill(broker: LocalBroker, count: int, partition: int = 0) -> list[int]:
    return [broker.append(NAME, partition, b"k", b"%d" % n, []) for n in range(count)]


def test_offsets_count_per_partition(broker: LocalBroker) -> None:
    assert fill(broker, 3, partition=0) == [0, 1, 2]
    assert fill(broker, 2, partition=1) == [0, 1]
    assert [record.value for record in broker.read(NAME, 0, 1, 10)] == [b"1", b"2"]
    assert broker.read(NAME, 0, 3, 10) == []
    assert len(broker.read(NAME, 0, 0, 2)) == 2


def test_a_partition_that_is_not_there_is_refused(broker: LocalBroker) -> None:
    with pytest.raises(KeyError):
        broker.append(NAME, 4, b"k", b"v", [])


def test_a_cut_log_keeps_its_offsets(broker: LocalBroker) -> None:
    fill(broker, 5)
    broker.truncate(NAME, 0, 3)
    state = broker.state(NAME, 0)
    assert (state.begin, state.end) == (3, 5)
    assert [record.offset for record in broker.read(NAME, 0, 3, 10)] == [3, 4]
    assert fill(broker, 1) == [5]
    with pytest.raises(LookupError, match="begins at 3"):
        broker.read(NAME, 0, 2, 10)


def test_a_topic_made_anew_is_empty_and_has_another_id(broker: LocalBroker) -> None:
    fill(broker, 5)
    before = broker.topic_id(NAME)
    broker.create(TOPIC)
    assert broker.topic_id(NAME) != before
    assert broker.state(NAME, 0).end == 0
    assert LocalBroker([TOPIC]).topic_id(NAME) == before, "the same in every run"


def test_members_share_every_partition_once(broker: LocalBroker) -> None:
    assert broker.assignment("g", "a", NAME) == []
    for member in ("a", "b", "c"):
        broker.join("g", member)
    shares = [broker.assignment("g", member, NAME) for member in ("a", "b", "c")]
    assert sorted(partition for share in shares for partition in share) == [0, 1, 2, 3]
    broker.leave("g", "b")
    assert broker.assignment("g", "b", NAME) == []
    assert sorted(broker.assignment("g", "a", NAME) + broker.assignment("g", "c", NAME)) == [0, 1, 2, 3]
    broker.join("other", "x")
    assert broker.assignment("other", "x", NAME) == [0, 1, 2, 3], "groups know nothing of each other"


async def test_a_send_is_acknowledged_at_once(broker: LocalBroker) -> None:
    sent = await LocalProducer(broker).send(NAME, 2, b"k", b"v", [("h", b"1")])
    assert sent.result() == 0
    assert broker.read(NAME, 2, 0, 1)[0].headers == (("h", b"1"),)
