"""CloudEvents 1.0 in Kafka binary mode: attributes as `ce_` headers, the JSON event as the value.

`ce_sentat` is an extension of ours: the machine time at which the record was handed to the broker. It is given anew
when an event is published again, while `ce_id` stays.
"""

from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import ValidationError

from chfw_common.events.base import Event
from chfw_common.kernel.instants import Instant, format_instant, parse_instant
from chfw_common.runtime.errors import InvalidMessageError
from chfw_common.runtime.kept import is_utf8
from chfw_common.runtime.service import Received, Record
from chfw_common.topology import Topic

_NAMESPACE = uuid5(NAMESPACE_URL, "chfw")
CONTENT_TYPE = b"application/json"
NUL = b"\\u0000"
"""The one spelling of NUL in JSON."""


def event_id(cause: str, topic: str, key: bytes, ordinal: int) -> UUID:
    """The id of the `ordinal`-th event that a cause led to: the same however often it is computed."""
    return uuid5(_NAMESPACE, f"{cause}|{topic}|{key.hex()}|{ordinal}")


def headers(ce_id: UUID, ce_type: str, source: str, time: Instant, sent_at: Instant) -> list[tuple[str, bytes]]:
    """The headers of one record."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(ce_id).encode()),
        ("ce_source", f"/chfw/{source}".encode()),
        ("ce_type", ce_type.encode()),
        ("ce_time", format_instant(time).encode()),
        ("ce_sentat", format_instant(sent_at).encode()),
        ("content-type", CONTENT_TYPE),
    ]


def decode(record: Record, topic: Topic) -> Received[Event]:
    """Read a record as an event of its topic. Raises InvalidMessageError with the reason when it is not one."""
    found = dict(record.headers)
    if not all(map(is_utf8, found)):
        raise InvalidMessageError("the name of a header is not UTF-8")
    kind = _text(found, "ce_type")
    if kind != topic.event.TYPE:
        raise InvalidMessageError(f"type {kind!r} is not {topic.event.TYPE}")
    if _text(found, "ce_specversion") != "1.0":
        raise InvalidMessageError("not CloudEvents 1.0")
    if record.value is None:
        raise InvalidMessageError("no value")
    try:
        ce_id = UUID(_text(found, "ce_id"))
        sent_at = parse_instant(_text(found, "ce_sentat"))
        event = topic.event.model_validate_json(record.value)
        # Postgres keeps no NUL in a text. The sign alone proves nothing: a backslash may stand before it.
        if NUL in record.value and _has_nul(event.model_dump()):
            raise InvalidMessageError("a text has a NUL")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidMessageError(f"{'.'.join(map(str, first['loc'])) or 'value'}: {first['msg']}") from error
    except ValueError as error:
        raise InvalidMessageError(str(error)) from error
    return Received(record.offset, ce_id, sent_at, event)


def _has_nul(part: object) -> bool:
    if isinstance(part, str):
        return "\0" in part
    if isinstance(part, dict):
        return any(map(_has_nul, (*part.keys(), *part.values())))
    return isinstance(part, tuple | list) and any(map(_has_nul, part))


def _text(found: dict[str, bytes | None], name: str) -> str:
    value = found.get(name)
    if value is None:
        raise InvalidMessageError(f"header {name} is missing")
    try:
        return value.decode("ascii")
    except UnicodeDecodeError:
        raise InvalidMessageError(f"header {name} is not text") from None
