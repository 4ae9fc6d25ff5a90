"""Whatever stands in a topic: reading it gives an event or InvalidMessageError, and nothing else."""

import json

import pytest
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from chfw_common.events.base import Event
from chfw_common.runtime.envelope import decode
from chfw_common.runtime.errors import InvalidMessageError
from chfw_common.runtime.kept import Headers, keep_error, keep_headers, kept_headers, read_headers
from chfw_common.runtime.service import Received, Record
from chfw_common.topology import TOPICS, Topic
from tests.support.events import Json, events, good_headers, mutated, odd_headers
from tests.support.fuzzing import inputs

each_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: str(topic.name))


def read(topic: Topic, value: bytes | None, headers: Headers) -> Received[Event] | None:
    """The event of a record, or None when it is refused; what is read can be written and read again."""
    record = Record(topic.name, 0, 5, b"k", value, tuple(headers))
    try:
        received = decode(record, topic)
    except InvalidMessageError:
        note("refused")
        return None
    note("read")
    kind = type(received.event)
    assert kind is topic.event
    assert received.offset == 5
    assert received.event.weight >= 0
    assert kind.model_validate_json(received.event.model_dump_json()) == received.event
    return received


@each_topic
@inputs()
@given(data=st.data())
def test_a_good_event_is_read_as_it_was_written(topic: Topic, data: st.DataObject) -> None:
    event = data.draw(events(topic))
    received = read(topic, event.model_dump_json().encode(), data.draw(good_headers(topic)))
    assert received is not None
    assert received.event == event


@each_topic
@inputs()
@given(data=st.data())
def test_a_changed_event_is_read_or_refused(topic: Topic, data: st.DataObject) -> None:
    read(topic, data.draw(mutated(topic)), data.draw(good_headers(topic)))


@each_topic
@inputs()
@given(data=st.data())
def test_any_bytes_and_any_json_are_read_or_refused(topic: Topic, data: st.DataObject) -> None:
    value = data.draw(st.none() | st.binary() | Json.map(json.dumps).map(str.encode) | mutated(topic))
    read(topic, value, data.draw(odd_headers(topic)))


names = st.text(st.characters(codec="utf-8", exclude_characters="\u0100"))
pairs_of_headers = st.lists(st.tuples(names, st.none() | st.binary()))


@inputs()
@given(pairs_of_headers)
def test_headers_are_kept_to_the_byte(pairs: list[tuple[str, bytes | None]]) -> None:
    kept = keep_headers(read_headers(pairs))
    assert "\0" not in str([part for row in kept for part in row if part])
    assert kept_headers(kept) == tuple(pairs)


@inputs()
@given(st.text(st.characters()))
def test_any_error_becomes_a_text_that_can_be_kept(text: str) -> None:
    kept = keep_error(text)
    assert "\0" not in kept
    assert len(kept.encode()) <= 8_000
