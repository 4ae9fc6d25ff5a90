"""Every value that comes from outside has bounds: what lies beyond them is refused at the rim, and in events."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from chfw_common.events.base import LONGEST_TEXT
from chfw_common.kernel.instants import EARLIEST, LATEST, InstantRangeError, format_instant, parse_instant, shifted
from chfw_common.kernel.months import add_months
from chfw_common.kernel.numbers import GREATEST_COUNTER
from chfw_common.runtime.envelope import decode
from chfw_common.runtime.errors import InvalidMessageError
from chfw_common.runtime.http.ids import InstantText
from chfw_common.runtime.service import Record
from chfw_common.topology import TOPICS, Topic
from tests.support.events import events, good_headers, instants, spans
from tests.support.fuzzing import inputs

BEYOND = ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "2200-01-01T00:00:00.000001Z",
          "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00",
          "1970-01-01T00:59:59+01:00", "2199-12-31T23:00:00-01:01"]  # fmt: skip
"""Times that nobody may state. The first and the fourth are what Postgres knows as -infinity and infinity."""


SPANS = ("lone_lead", "answer_min")
TALLIES = {"at_risk", "totals"}
"""Counts that may be below 0: no halt hangs on a miscount."""
TOO_LONG = ["P3661D", "-PT1S", "P999999999D"]


class Stating(BaseModel):
    """A body with a time."""

    at: Annotated[InstantText, ...]


@pytest.mark.parametrize("text", BEYOND)
def test_a_time_beyond_the_bounds_is_refused_at_the_rim(text: str) -> None:
    with pytest.raises(ValidationError):
        Stating.model_validate({"at": text})
    with pytest.raises(InstantRangeError, match="1970-01-01T00:00:00Z and 2200-01-01T00:00:00Z"):
        parse_instant(text)


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00Z", "2200-01-01T00:00:00Z", "2199-12-31T22:00:00-02:00"])
def test_a_time_at_the_bounds_is_taken(text: str) -> None:
    assert Stating.model_validate({"at": text}).at == parse_instant(text)


def test_the_document_says_the_bounds() -> None:
    stated = Stating.model_json_schema()["properties"]["at"]
    assert (stated["formatMinimum"], stated["formatMaximum"]) == (format_instant(EARLIEST), format_instant(LATEST))
    assert stated["description"] == "From 1970-01-01T00:00:00Z to 2200-01-01T00:00:00Z."


@given(instants, spans, st.booleans(), st.integers(-10_000, 10_000))
def test_what_is_computed_from_a_time_within_the_bounds_lies_within_them(
    at: datetime, span: timedelta, back: bool, months: int
) -> None:
    for found in (shifted(at, -span if back else span), add_months(at, months)):
        assert EARLIEST <= found <= LATEST
        assert parse_instant(format_instant(found)) == found


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14))])))
def test_months_are_counted_for_any_time(at: datetime) -> None:
    try:
        found = add_months(at, -1)
    except InstantRangeError:
        return
    assert EARLIEST <= found <= LATEST


def leaves(part: Any, place: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """Every value of a document, and where it stands."""
    inside = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else None
    if inside is None:
        return [(place, part)]
    return [leaf for name, one in inside for leaf in leaves(one, (*place, name))]


def beyond(value: Any) -> list[Any]:
    """What no field that has such a value may say."""
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int):
        return [GREATEST_COUNTER + 1, 1 << 63, 1 << 64, -1, -(1 << 63), 10**400]
    if is_time(value):
        return BEYOND
    return ["x" * (LONGEST_TEXT + 1), "a\0b"]


def is_time(text: str) -> bool:
    """Whether a text of an event is a time."""
    return len(text) > len("2000-01-01T") and text[4:5] == "-" and text[10:11] == "T" and text.endswith("Z")


def changed(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at a place."""
    copy = json.loads(json.dumps(document))
    part = copy
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    return copy


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: str(topic.name))
@inputs(quick=10, long=1_000)
@given(data=st.data())
def test_no_field_of_an_event_goes_beyond_its_bounds(topic: Topic, data: st.DataObject) -> None:
    document = json.loads(data.draw(events(topic)).model_dump_json())
    headers = data.draw(good_headers(topic))
    found = leaves(document)
    assume(found)
    place, value = data.draw(st.sampled_from(found))
    for wrong in TOO_LONG if place[-1] in SPANS else beyond(value):
        if wrong == -1 and TALLIES & {*place}:
            continue
        text = json.dumps(changed(document, place, wrong)).encode()
        with pytest.raises(InvalidMessageError):
            decode(Record(topic.name, 0, 0, b"k", text, tuple(headers)), topic)


@pytest.mark.parametrize("text", BEYOND)
def test_a_record_that_was_sent_beyond_the_bounds_is_no_event(text: str) -> None:
    (topic,) = (topic for topic in TOPICS if topic.name == "rollout.fenced")
    headers = {
        "ce_specversion": "1.0", "ce_id": "00000000-0000-0000-0000-000000000000", "ce_type": topic.event.TYPE,
        "ce_sentat": text,
    }  # fmt: skip
    value = b'{"release_id": "r", "edge": "North", "min_epoch": 1, "fenced_at": "2026-10-01T00:00:00Z"}'
    record = Record(topic.name, 0, 0, b"r", value, tuple((name, said.encode()) for name, said in headers.items()))
    with pytest.raises(InvalidMessageError, match="1970"):
        decode(record, topic)
