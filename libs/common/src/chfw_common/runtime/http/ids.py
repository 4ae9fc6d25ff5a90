"""Ids and times as people write them: in paths and in bodies. What none can look like never reaches a database."""

import re
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Path
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from chfw_common.events.base import UtcInstant
from chfw_common.kernel.ids import HubId, InvalidIdError, ReleaseId, hub_eui64, parse_hub_id
from chfw_common.kernel.instants import EARLIEST, LATEST, format_instant
from chfw_common.kernel.texts import shown
from chfw_common.runtime.http.problems import Problem

RELEASE_PATTERN = "^[A-Za-z0-9][A-Za-z0-9-]{2,39}$"
HUB_PATTERN = "^(([0-9A-Fa-f]{2}-){7}[0-9A-Fa-f]{2}|[0-9A-Fa-f]{16})$"


def _read_text(value: object) -> HubId:
    if isinstance(value, str):
        return parse_hub_id(value)
    raise ValueError("a hub id is text")


HubText = Annotated[
    HubId, BeforeValidator(_read_text), WithJsonSchema({"type": "string", "pattern": HUB_PATTERN}, mode="validation")
]
"""A hub in the body of a request."""
Eui64 = Annotated[HubId, PlainSerializer(hub_eui64, when_used="json")]
"""A hub in an answer."""


_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ZONELESS = rf"{_DATE}[Tt ][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]+)?"
_AS_IN = "as in 2027-01-24T00:00:00Z"


def _read_instant(value: object) -> object:
    """Keep what RFC 3339 calls a time; of a number nobody knows whether it counts seconds or milliseconds."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError(f"a time is text, {_AS_IN}")
    if re.fullmatch(rf"{_ZONELESS}([Zz]|[+-][0-9]{{2}}:[0-9]{{2}})", value):
        return value
    if re.fullmatch(_DATE, value):
        raise ValueError(f"`{value}` is a date: add the time of day and its zone, {_AS_IN}")
    if re.fullmatch(_ZONELESS, value):
        raise ValueError(f"`{value}` has no zone: add Z for UTC, {_AS_IN}")
    raise ValueError(f"`{shown(value)}` is not written as a time: write date, time of day and zone, {_AS_IN}")


def _not_empty(value: object) -> object:
    if isinstance(value, str) and not value.strip():
        raise ValueError("an empty text is no time: where none is meant, leave the field out or write null")
    return value


def _read_span(value: object) -> object:
    if isinstance(value, str | timedelta):
        return value
    raise ValueError("a duration is text, as in P14D")


InstantText = Annotated[
    UtcInstant,
    BeforeValidator(_read_instant),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": f"From {format_instant(EARLIEST)} to {format_instant(LATEST)}.",
            "formatMinimum": format_instant(EARLIEST),
            "formatMaximum": format_instant(LATEST),
        }
    ),
]
"""A time in a request: RFC 3339 with its zone, within the bounds of `kernel.instants`."""
OptionalInstant = Annotated[InstantText | None, BeforeValidator(_not_empty)]
"""A time in a body that need not be stated."""
SpanText = Annotated[timedelta, BeforeValidator(_read_span)]
"""A duration in the body of a request: ISO 8601."""


# The patterns are for the document alone: what does not fit one is refused in the words of the route.
async def _release(release_id: Annotated[str, Path(json_schema_extra={"pattern": RELEASE_PATTERN})]) -> ReleaseId:
    if re.fullmatch(RELEASE_PATTERN, release_id) is None:
        raise Problem(404, "unknown_release", "No such release.")
    return ReleaseId(release_id)


async def _hub(eui64: Annotated[str, Path(json_schema_extra={"pattern": HUB_PATTERN})]) -> HubId:
    return parsed_hub(eui64)


def parsed_hub(text: str) -> HubId:
    """The hub that the text names. Raises Problem 422 for what is no hub id."""
    try:
        return parse_hub_id(text)
    except InvalidIdError as error:
        raise Problem(422, "malformed_id", "A hub id is an EUI-64: eight hex pairs joined by hyphens.") from error


ReleaseInPath = Annotated[ReleaseId, Depends(_release)]
"""A release in the path. Raises Problem 404 for what no release can be called. After the caller in a signature."""
HubInPath = Annotated[HubId, Depends(_hub)]
"""A hub in the path. Raises Problem 422 for what is no hub id. After the caller in a signature."""
