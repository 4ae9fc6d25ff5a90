"""Bodies read in pieces: the media type, the content coding, and caps on size and on what unpacks to how much.

Nothing here holds more than one piece of the decoded body, and every fault of a body is a Problem.
"""

import asyncio
import codecs
import zlib
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from backports import zstd
from fastapi import Request
from starlette.requests import ClientDisconnect

from chfw_common.runtime.http.budget import BODY, Held
from chfw_common.runtime.http.problems import Problem

PIECE = 1 << 16
"""The most bytes handed on at once, so that a parser never holds the loop for long."""
RATIO_FREE = 1 << 20
"""Decoded bytes before the ratio counts: a short list of like ids packs very well."""
MEMBERS = 1_000
"""The most gzip members or zstd frames of one body."""
WINDOW_LOG = 23
"""The greatest zstd window: the 8 MiB that RFC 9659 allows on the web."""
CODINGS = ("gzip", "zstd")
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii"})


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """`size`: bytes, decoded as well as sent. `ratio`: decoded bytes for each byte sent."""

    size: int
    ratio: int


def malformed(detail: str, **where: Any) -> Problem:
    """The refusal of a body that cannot be read; `where` says at which row or offset."""
    return Problem(400, "malformed_body", detail, errors=[{**where, "message": detail}] if where else ())


def too_large(detail: str) -> Problem:
    """The refusal of a body over a cap."""
    return Problem(413, "too_large", detail)


def too_slow(allowed: timedelta) -> Problem:
    """The refusal of a body that does not come. The connection is closed: the rest of the body may still follow."""
    seconds = int(allowed.total_seconds())
    return Problem(
        408, "body_too_slow", f"The body was not whole after {seconds} s of waiting.", headers={"Connection": "close"}
    )


def only_header(request: Request, name: str) -> str:
    """The value of a header that may stand once, or nothing. Raises Problem 400 when it stands twice."""
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise Problem(400, "duplicate_header", f"The header {name} may stand once.")
    return values[0].strip() if values else ""


def media_type(request: Request, accepted: Collection[str]) -> str:
    """The media type of the body, one of those accepted and in UTF-8. Raises Problem 415 for any other."""
    name, *parameters = only_header(request, "Content-Type").split(";")
    name = name.strip().lower()
    stated = [(key.strip().lower(), value.strip().strip('"').lower()) for key, _, value in
              (parameter.partition("=") for parameter in parameters if parameter.strip())]  # fmt: skip
    # Any other parameter would change how the body is read (`header=absent` of RFC 4180), and nobody here reads it.
    in_utf8 = all(key == "charset" and value in _UTF8 for key, value in stated)
    if name not in accepted or not in_utf8 or len(stated) > 1:
        raise Problem(
            415,
            "unsupported_media_type",
            f"The body may be {', '.join(sorted(accepted))}, in UTF-8, without a parameter but `charset`.",
            headers={"Accept": ", ".join(sorted(accepted))},
        )
    return name


def without_mark(text: bytes) -> bytes:
    """UTF-8 without the byte-order mark that some programs write before it (RFC 8259, 8.1: it may be ignored)."""
    return text.removeprefix(codecs.BOM_UTF8)


async def read_body(request: Request, limits: BodyLimits) -> AsyncIterator[bytes]:
    """The decoded body in pieces. Raises Problem 400, 408, 413 or 415, and 429 or 503 when too many are under way."""
    held: Held = request.scope["state"][BODY]
    decoder = Decoder(only_header(request, "Content-Encoding").lower(), limits)
    length = only_header(request, "Content-Length")
    if length.isdecimal() and (len(length) > len(str(limits.size)) or int(length) > limits.size):
        raise decoder.over_size
    async for data in _received(request):
        for start in range(0, len(data), PIECE):
            for piece in decoder.feed(data[start : start + PIECE]):
                held.take(len(piece))
                yield piece
                await asyncio.sleep(0)
    decoder.end()


async def _received(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes. Only waiting for the client counts against its time, not what we make of the bytes."""
    loop, data = asyncio.get_running_loop(), request.stream()
    allowed: timedelta = request.app.state.body_time
    left = allowed.total_seconds()
    while True:
        began = loop.time()
        try:
            async with asyncio.timeout(left):
                found = await anext(data, None)
        except TimeoutError as error:
            raise too_slow(allowed) from error
        except ClientDisconnect as error:
            raise malformed("The body ended before it was whole.") from error
        if found is None:
            return
        left -= loop.time() - began
        yield found


class _Unpacker(Protocol):
    """What gzip and zstd have in common: bounded output, and what is left of the input."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Decoder:
    """Undoes one content coding, piece by piece, within the limits."""

    def __init__(self, coding: str, limits: BodyLimits) -> None:
        self._coding = {"x-gzip": "gzip", "identity": ""}.get(coding, coding)
        self._limits = limits
        self._sent = self._decoded = self._members = 0
        self._unpacker: Any = None
        if self._coding not in ("", *CODINGS):
            raise Problem(
                415,
                "unsupported_media_type",
                f"Content-Encoding may be {' or '.join(CODINGS)}, one of them.",
                headers={"Accept-Encoding": ", ".join(CODINGS)},
            )

    @property
    def over_size(self) -> Problem:
        """The refusal of a body that is too long."""
        return too_large(f"The body has more than {self._limits.size} bytes.")

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What these bytes decode to, in pieces."""
        self._sent += len(data)
        if self._sent > self._limits.size:
            raise self.over_size
        try:
            for piece in self._unpack(data) if self._coding else (data,):
                if piece:
                    self._count(len(piece))
                    yield piece
        except (zlib.error, zstd.ZstdError) as error:
            raise malformed(f"The body is not valid {self._coding}.", offset=self._decoded) from error

    def end(self) -> None:
        """The body is over. Raises Problem 400 when the coding is not."""
        if self._coding and (self._members == 0 or self._unpacker is not None):
            raise malformed(f"The body ends in the middle of its {self._coding}.", offset=self._decoded)

    def _count(self, decoded: int) -> None:
        self._decoded += decoded
        if self._decoded > self._limits.size:
            raise self.over_size
        if self._coding and self._decoded > max(RATIO_FREE, self._sent * self._limits.ratio):
            raise too_large(f"The body unpacks to more than {self._limits.ratio} times its size.")

    def _unpack(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._unpacker is None:
                self._unpacker = self._begin()
            while True:
                piece = self._unpacker.decompress(data, PIECE)
                yield piece
                # zlib hands the rest of the input back, zstd keeps it.
                data = getattr(self._unpacker, "unconsumed_tail", b"")
                if self._unpacker.eof or (not data and len(piece) < PIECE):
                    break
            if not self._unpacker.eof:
                return
            data, self._unpacker = self._unpacker.unused_data, None

    def _begin(self) -> _Unpacker:
        self._members += 1
        if self._members > MEMBERS:
            raise malformed(f"The body has more than {MEMBERS} {self._coding} parts.")
        if self._coding == "gzip":
            return zlib.decompressobj(wbits=31)
        return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG})
