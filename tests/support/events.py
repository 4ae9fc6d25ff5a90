"""Events of every topic made at random, and what may happen to one on its way."""

import copy
import functools
import json
import types
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import reject
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from chfw_common.events.base import LONGEST_TEXT, Event, HubRef
from chfw_common.kernel.ids import GREATEST_HUB, LEAST_HUB, PartyId, ReleaseId, UserId
from chfw_common.kernel.instants import EARLIEST, LATEST
from chfw_common.kernel.numbers import LONGEST_SPAN
from chfw_common.kernel.waves import SHARES, Wave
from chfw_common.runtime import envelope
from chfw_common.topology import Topic

Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
"""Any JSON."""
LONGEST = "".join(chr(0x20000 + n * 7_919 % 40_000) for n in range(LONGEST_TEXT))
"""As many different letters as a text may have, each of four bytes."""
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
instants = st.sampled_from([EARLIEST, LATEST]) | st.datetimes(
    EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None), timezones=st.just(UTC)
)
# What ISO 8601 says exactly: pydantic writes whole microseconds.
spans = st.timedeltas(timedelta(0), LONGEST_SPAN)
hubs = st.integers(1, 3) | st.integers(LEAST_HUB, GREATEST_HUB)
_KNOWN = {ReleaseId: ["CH-9-2", "other"], PartyId: ["elec", "gas"], UserId: ["elec-is"]}
"""Names that come again and again, so that one event is about what another was about."""
_HUB = get_args(HubRef)[0]
_SHARE = st.integers(0, SHARES)
_WAVES = st.builds(
    Wave, name=texts, opens=instants, automatic_date=instants, regions=st.lists(texts, max_size=3).map(tuple),
    share_from=_SHARE, share_below=_SHARE,
)  # fmt: skip


def _text(limits: Sequence[Any]) -> st.SearchStrategy[str]:
    """A short text, or the longest that its field takes, in letters of four bytes that do not pack."""
    most = next((limit.max_length for limit in limits if hasattr(limit, "max_length")), LONGEST_TEXT)
    return texts | st.just(LONGEST[:most])


def _number(limits: Sequence[Any]) -> st.SearchStrategy[int]:
    """A number within the limits that its field states; both of them often."""
    least = next(limit.ge for limit in limits if hasattr(limit, "ge"))
    greatest = next(limit.le for limit in limits if hasattr(limit, "le"))
    return st.sampled_from([least, greatest]) | st.integers(least, greatest)


_WITH_LIMITS = {int: _number, str: _text}
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    _HUB: hubs,
    Wave: _WAVES,
    bool: st.booleans(),
    datetime: instants,
    timedelta: spans,
    type(None): st.none(),
}


def values(kind: Any, limits: Sequence[Any] = ()) -> st.SearchStrategy[Any]:
    """Values of a type that occurs in an event, within the limits that stand beside it."""
    if get_origin(kind) is Annotated:
        # The type is the first; what pydantic says of a field holds its limits in a list.
        plain, *beside = get_args(kind)
        return values(plain, [one for said in beside for one in (said, *getattr(said, "metadata", ()))])
    if kind in _WITH_LIMITS:
        return _WITH_LIMITS[kind](limits)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if isinstance(supertype := getattr(kind, "__supertype__", None), type):
        return st.sampled_from(_KNOWN[kind]) | values(supertype, limits)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return models(kind)
    arguments = get_args(kind)
    match get_origin(kind):
        case origin if origin is Literal:
            return st.sampled_from([*arguments])
        case origin if origin in (Union, types.UnionType):
            return st.one_of([values(argument, limits) for argument in arguments])
        case origin if origin is tuple:
            return st.lists(values(arguments[0]), max_size=3).map(tuple)
        case origin if origin is dict:
            return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
        case _:
            raise TypeError(f"nobody said how to make a {kind}")


def models(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Values of a model: what it requires, and some of what it does not."""
    fields = {name: values(field.annotation, field.metadata) for name, field in model.model_fields.items()}
    optional = {name for name, field in model.model_fields.items() if not field.is_required()}
    return st.fixed_dictionaries(
        {name: value for name, value in fields.items() if name not in optional},
        optional={name: fields[name] for name in optional},
    ).map(functools.partial(_made, model))


def _made(model: type[BaseModel], fields: dict[str, Any]) -> BaseModel:
    try:
        return model.model_validate(fields)
    except ValidationError:
        # What one field says bounds what another may: there is no such event.
        reject()


@functools.cache
def events(topic: Topic) -> st.SearchStrategy[Event]:
    """Events of a topic."""
    return models(topic.event)


_IDS = st.uuids()
# But for the one sign that stands for NUL where headers are kept.
_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\u0100"), max_size=12)
_ODD_VALUE = (
    st.none() | st.binary(max_size=40) | st.sampled_from([b"1.0", b"\xff", b"\0", b"0001-01-01T00:00:00+05:00"])
)


@st.composite
def good_headers(draw: st.DrawFn, topic: Topic) -> list[tuple[str, bytes | None]]:
    """The headers of a good record."""
    return [*envelope.headers(draw(_IDS), topic.event.TYPE, topic.producer, draw(instants), draw(instants))]


@st.composite
def odd_headers(draw: st.DrawFn, topic: Topic) -> list[tuple[str, bytes | None]]:
    """Headers of which some are away, have no value or another one, or stand twice; or any at all."""
    if draw(st.booleans()):
        return draw(st.lists(st.tuples(_NAMES, _ODD_VALUE), max_size=6))
    headers = draw(good_headers(topic))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(headers) - 1))
        name = headers[at][0]
        changed = draw(st.sampled_from(["away", "changed", "twice"]))
        headers[at : at + 1] = {
            "away": [],
            "changed": [(name, draw(_ODD_VALUE))],
            "twice": [headers[at], (name, draw(_ODD_VALUE))],
        }[changed]
        if not headers:
            break
    return headers


_ODD = Json | st.sampled_from(
    [1 << 64, -(1 << 70), 1e308, "", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "P999999999D",
     "ffffffffffffffff", "\ud800", "a\0b", [[]], {"": None}, True]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, topic: Topic) -> bytes:
    """The JSON of a good event with a few parts changed, taken away, added or repeated; or with a few bytes changed."""
    document = json.loads(draw(events(topic)).model_dump_json())
    for _ in range(draw(st.integers(0, 3))):
        _mutate(draw, document)
    data = bytearray(json.dumps(document, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass"))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data)


def _mutate(draw: st.DrawFn, document: Any) -> None:
    """Walk to some part, and do something to it."""
    part = document
    while isinstance(part, dict | list) and part:
        names = list(part) if isinstance(part, dict) else list(range(len(part)))
        name = draw(st.sampled_from(names))
        if not isinstance(part[name], dict | list) or not part[name] or draw(st.booleans()):
            break
        part = part[name]
    else:
        return
    match draw(st.sampled_from(["change", "remove", "add"])):
        case "change":
            part[name] = copy.deepcopy(draw(_ODD))
        case "remove":
            del part[name]
        case _ if isinstance(part, dict):
            part[draw(st.text(max_size=8))] = copy.deepcopy(draw(_ODD))
        case _:
            part.append(part[name])
