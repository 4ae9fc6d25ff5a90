"""The body of a request, in whichever of its forms, as a submission."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from fastapi import Request
from pydantic import FailFast, ValidationError

from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.kernel.rollout import AnswerKind, Group
from chfw_common.runtime.http.bodies import BodyLimits, malformed, media_type, read_body
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.http.ids import OptionalInstant
from chfw_common.runtime.http.json_route import JSON, apart, parse_json
from chfw_common.runtime.http.paging import CSV, NDJSON
from chfw_common.runtime.http.problems import Problem, invalid_request, malformed_parts
from chfw_common.runtime.http.shapes import Shape
from chfw_instruction.domain.entries import Listing, TooManyEntriesError
from chfw_instruction.domain.lists import CsvReader, MalformedListError, NdjsonReader, TooManyRowsError
from chfw_instruction.settings import Settings
from chfw_instruction.stages.accept import Submission

MEDIA_TYPES = (JSON, NDJSON, CSV)
JSON_BYTES_PER_ENTRY = 64
"""A JSON document is held as a whole, so it may have fewer bytes: an id with quotes, comma and indentation has 40."""
_AT_A_TIME = 5_000


class InstructionBody(Shape):
    """What a Party says of hubs. No time, or null, states no preference."""

    kind: AnswerKind
    group: Group = Group.SAFE_LAUNCH
    activate_at: OptionalInstant = None
    hubs: Annotated[list[str], FailFast()]


@dataclass(frozen=True, slots=True)
class Terms:
    """What is said of the hubs: in a JSON body, beside the list; with the other forms, in the query."""

    kind: AnswerKind | None
    group: Group | None
    activate_at: Instant | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that was let in: whose it is, under which key, and when, by the machine."""

    caller: Caller
    key: str
    at: Instant


async def read_submission(
    request: Request, release_id: ReleaseId, query: Terms, arrival: Arrival, settings: Settings
) -> Submission:
    """Read the body to its end. Raises Problem for whatever is wrong with it; nothing has been stored then."""
    listing = _Listing(settings.request_limit)
    form = media_type(request, MEDIA_TYPES)
    try:
        if form == JSON:
            header: Sequence[str] | None = None
            terms = await _read_json(request, query, listing, settings)
        else:
            terms = _stated(query)
            header = await _read_rows(request, form, listing, settings)
    except (TooManyEntriesError, TooManyRowsError) as error:
        raise _too_many(settings) from error
    except MalformedListError as error:
        raise malformed(str(error), row=error.row) from error
    return Submission(
        caller=arrival.caller,
        key=arrival.key,
        digest=listing.digest(release_id, arrival.caller.user_id, terms, header),
        release_id=release_id,
        kind=terms.kind or AnswerKind.INSTRUCT,
        group=terms.group or Group.SAFE_LAUNCH,
        activate_at=terms.activate_at,
        chunks=listing.close(),
        header=header,
        limit=settings.request_limit,
        quota=settings.quota(arrival.caller.party),
        came_at=arrival.at,
    )


class _Listing:
    """The entries, and the digest of what was written: of the content, whatever form and coding it came in."""

    def __init__(self, limit: int) -> None:
        self._listing = Listing(limit)
        self._sha = sha256()
        self.close = self._listing.close

    def add(self, texts: Sequence[str], records: Sequence[str]) -> None:
        if texts:
            self._listing.add(texts, records)
            # As JSON, so that no two contents read alike; without the brackets, so that the pieces do not matter.
            self._sha.update(json.dumps(records or texts)[1:-1].encode() + b", ")

    def digest(self, release_id: str, user_id: str, terms: Terms, header: Sequence[str] | None) -> bytes:
        at = terms.activate_at and format_instant(terms.activate_at)
        about = [release_id, user_id, terms.kind, terms.group, at, header]
        return sha256(json.dumps(about).encode() + self._sha.digest()).digest()


def _stated(query: Terms) -> Terms:
    if query.kind is None:
        raise invalid_request([(("query", "kind"), "With a list alone in the body, the query says the kind.")])
    return Terms(query.kind, query.group or Group.SAFE_LAUNCH, query.activate_at)


async def _read_rows(request: Request, form: str, listing: _Listing, settings: Settings) -> Sequence[str] | None:
    """Read a list row by row; the header, when there are columns to give back."""
    # The header and a few blank rows come on top.
    rows = settings.request_limit + _AT_A_TIME
    reader = CsvReader(listing.add, rows) if form == CSV else NdjsonReader(listing.add, rows)
    async for piece in read_body(request, BodyLimits(settings.body_limit, settings.body_ratio)):
        reader.feed(piece)
    reader.feed(b"", final=True)
    return reader.header if isinstance(reader, CsvReader) and len(reader.header) > 1 else None


async def _read_json(request: Request, query: Terms, listing: _Listing, settings: Settings) -> Terms:
    if query != Terms(None, None, None):
        raise Problem(422, "invalid_request", "A JSON body says kind, group and time itself; the query may not.")
    size = min(settings.body_limit, settings.request_limit * JSON_BYTES_PER_ENTRY)
    text = bytearray()
    async for piece in read_body(request, BodyLimits(size, settings.body_ratio)):
        text += piece
    # Before it is parsed: a list of millions would be in memory before anybody could count it.
    if text.count(b",") > settings.request_limit + _AT_A_TIME:
        raise _too_many(settings)
    size = len(text)
    body = await apart(request, size, _parse, bytes(text))
    text.clear()
    await apart(request, size, _add_slices, body.hubs, listing.add)
    return Terms(body.kind, body.group, body.activate_at)


def _add_slices(hubs: Sequence[str], add: Callable[[Sequence[str], Sequence[str]], None]) -> None:
    for start in range(0, len(hubs), _AT_A_TIME):
        add(hubs[start : start + _AT_A_TIME], ())


def _parse(text: bytes) -> InstructionBody:
    try:
        return InstructionBody.model_validate(parse_json(text))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise malformed_parts(found, "body") from error


def _too_many(settings: Settings) -> Problem:
    return Problem(413, "too_many_entries", f"A request may have {settings.request_limit} entries; blank rows count.")
