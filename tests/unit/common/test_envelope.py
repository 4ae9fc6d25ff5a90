"""The headers of a record: CloudEvents 1.0 to anybody, and what we refuse."""

from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event

from chfw_common.events.fenced import RolloutFenced
from chfw_common.kernel.ids import ReleaseId
from chfw_common.runtime import envelope
from chfw_common.runtime.errors import InvalidMessageError
from chfw_common.runtime.service import Record
from chfw_common.topology import ROLLOUT_FENCED

NOW = datetime(2025, 6, 1, 12, 0, 0, 250_000, tzinfo=UTC)
EVENT = RolloutFenced(release_id=ReleaseId("r1"), edge="North", min_epoch=4, fenced_at=NOW)
ID = envelope.event_id("a cause", "rollout.fenced", b"r1", 0)
HEADERS = envelope.headers(ID, EVENT.TYPE, "device-sim", NOW, NOW)
VALUE = EVENT.model_dump_json().encode()


def record(value: bytes | None = VALUE, **changes: bytes | None) -> Record:
    """A good record but for some headers; None takes one away."""
    found: dict[str, bytes | None] = {**dict(HEADERS), **changes}
    kept = tuple((name, text) for name, text in found.items() if text is not None)
    return Record("rollout.fenced", 0, 5, b"r1", value, kept)


def test_others_read_our_headers_as_cloudevents() -> None:
    theirs = from_binary_event(KafkaMessage(headers=dict(HEADERS), key=b"r1", value=VALUE))
    assert theirs.get_specversion() == "1.0"
    assert theirs.get_id() == str(ID)
    assert theirs.get_source() == "/chfw/device-sim"
    assert theirs.get_type() == "uk.chfw.rollout.fenced.v1"
    assert theirs.get_time() == NOW
    assert theirs.get_datacontenttype() == "application/json"
    assert theirs.get_extension("sentat") == "2025-06-01T12:00:00.250000Z"
    assert theirs.get_data() == {
        "release_id": "r1", "edge": "North", "min_epoch": 4, "fenced_at": "2025-06-01T12:00:00.250000Z",
    }  # fmt: skip


def test_what_we_write_we_read() -> None:
    received = envelope.decode(record(), ROLLOUT_FENCED)
    assert (received.offset, received.event_id, received.sent_at, received.event) == (5, ID, NOW, EVENT)


def test_unknown_headers_and_fields_are_ignored() -> None:
    grown = VALUE[:-1] + b', "new_in_v1": [1, 2]}'
    assert envelope.decode(record(grown, ce_traceparent=b"00-1"), ROLLOUT_FENCED).event == EVENT


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (record(ce_type=None), "header ce_type is missing"),
        (record(ce_type=b"uk.chfw.rollout.fenced.v2"), "is not uk.chfw.rollout.fenced.v1"),
        (record(ce_type=b"\xc3\xa9"), "is not text"),
        (record(ce_specversion=b"0.3"), "not CloudEvents 1.0"),
        (record(ce_specversion=None), "ce_specversion is missing"),
        (record(ce_id=b"7"), "badly formed"),
        (record(ce_id=None), "ce_id is missing"),
        (record(ce_sentat=b"yesterday"), "isoformat"),
        (record(ce_sentat=b"2025-06-01T12:00:00"), "needs a time zone"),
        (record(None), "no value"),
        (record(b""), "Invalid JSON"),
        (record(b"[]"), "value: Input should be an object"),
        (record(b"\xff"), "Invalid JSON"),
        (record(VALUE.replace(b"4", b'"four"')), "min_epoch"),
        (record(VALUE.replace(b"12:00:00.250000Z", b"12:00:00")), "fenced_at"),
    ],
)
def test_what_is_not_an_event_of_the_topic_is_invalid(bad: Record, reason: str) -> None:
    with pytest.raises(InvalidMessageError, match=reason):
        envelope.decode(bad, ROLLOUT_FENCED)


def test_an_id_depends_on_its_cause_topic_key_and_place_alone() -> None:
    again = envelope.event_id("a cause", "rollout.fenced", b"r1", 0)
    others = {
        envelope.event_id("another", "rollout.fenced", b"r1", 0),
        envelope.event_id("a cause", "rollout.decision", b"r1", 0),
        envelope.event_id("a cause", "rollout.fenced", b"r2", 0),
        envelope.event_id("a cause", "rollout.fenced", b"r1", 1),
    }
    assert again == ID
    assert len(others | {ID}) == 5
    assert ID.version == 5
