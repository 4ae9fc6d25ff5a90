"""The Idempotency-Key of a request: it is the request's id, unique per Party, and one key has one content."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel

from chfw_common.kernel.ids import PartyId
from chfw_common.runtime.advisory import lock_key
from chfw_common.runtime.http.bodies import only_header
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.http.structured import CHARACTER, parse_string
from chfw_common.runtime.service import Answered, Now, Tx

A = TypeVar("A")
R = TypeVar("R")

HEADER = "Idempotency-Key"
REPLAYED = {"Idempotent-Replayed": "true"}
LONGEST = 200
PATTERN = f'^"{CHARACTER}{{1,{LONGEST}}}"$'
"""How a key is written: a String of 1 to 200 characters."""


def _parameter(described: str, *, required: bool) -> dict[str, Any]:
    return {
        "parameters": [
            {
                "name": HEADER,
                "in": "header",
                "required": required,
                "description": f"{described} A text in double quotes (RFC 9651, 3.3.3).",
                "example": '"8e03978e-40d5-43e8-bc93-6894a57f9324"',
                "schema": {"type": "string", "pattern": PATTERN},
            }
        ]
    }


_ONCE = "The same key with the same content has one effect and one answer, so a request can be repeated at any time."
KEYED = _parameter(f"Names the request. {_ONCE}", required=True)
"""What the document of a route says of the key: `openapi_extra`."""
MAY_BE_KEYED = _parameter(
    f"Names the request. {_ONCE} Without one, a repeat undoes what others have changed since.", required=False
)
"""The same for a route that takes a request without a key too."""


async def idempotency_key(request: Request) -> str:
    """The key of a request (a dependency). Raises Problem 400 when it is missing or not written as a String.

    What counts is the text between the quotes.
    """
    key = parse_string(only_header(request, HEADER))
    if not key or len(key) > LONGEST:
        raise Problem(
            400,
            "idempotency_key_required",
            f'{HEADER} is needed: 1 to {LONGEST} printable ASCII characters in double quotes, as in {HEADER}: "a-1".',
        )
    return key


async def optional_key(request: Request) -> str | None:
    """The key, where the route takes requests without one too (a dependency). Raises Problem 400 for a wrong one."""
    return await idempotency_key(request) if HEADER in request.headers else None


def digest_of(body: BaseModel, *path: str) -> bytes:
    """The SHA-256 of a decoded body and of what the path names."""
    return sha256("\0".join((*path, body.model_dump_json())).encode()).digest()


def reused_key() -> Problem:
    """The refusal of a known key with other content."""
    return Problem(422, "reused_key", f"This {HEADER} was used before with other content.")


async def recall(tx: Tx, service: str, party: PartyId, key: str, digest: bytes) -> dict[str, Any] | None:
    """The answer once given to this key, or None for a new one, which stays locked until the transaction ends.

    Needs the table `answered_request` in the service's schema. Raises Problem 422 when the content is another.
    """
    await tx.execute("select pg_advisory_xact_lock($1)", lock_key(service, "request", f"{party}|{key}"))
    row = await tx.fetchrow("select digest, answer from answered_request where party = $1 and key = $2", party, key)
    if row is None:
        return None
    if bytes(row["digest"]) != digest:
        raise reused_key()
    answer: dict[str, Any] = row["answer"]
    return answer


async def remember(tx: Tx, party: PartyId, key: str, digest: bytes, answer: dict[str, Any]) -> None:
    """Keep the answer in the transaction of the effect."""
    await tx.execute(
        "insert into answered_request (party, key, digest, answer) values ($1, $2, $3, $4)", party, key, digest, answer
    )


@dataclass(frozen=True, slots=True)
class Named(Generic[R]):
    """A request under a key, or under none. `digest` is that of its content."""

    party: PartyId
    key: str | None
    digest: bytes
    request: R


@dataclass(frozen=True, slots=True)
class Once:
    """An answer as it is sent, and whether it was given before."""

    body: dict[str, Any]
    replayed: bool


def once(
    service: str, command: Callable[[Tx, R, Now], Awaitable[Answered[A]]], render: Callable[[A], dict[str, Any]]
) -> Callable[[Tx, Named[R], Now], Awaitable[Answered[Once]]]:
    """The command with its answer as it is sent; to a key that was answered before, that answer and no second effect.

    Needs the table `answered_request` in the service's schema.
    """

    async def run(tx: Tx, named: Named[R], now: Now) -> Answered[Once]:
        if named.key is None:
            answered = await command(tx, named.request, now)
            return answered.with_answer(Once(render(answered.answer), replayed=False))
        known = await recall(tx, service, named.party, named.key, named.digest)
        if known is not None:
            return Answered(Once(known, replayed=True), f"replay|{named.party}|{named.key}", None)
        answered = await command(tx, named.request, now)
        body = render(answered.answer)
        await remember(tx, named.party, named.key, named.digest, body)
        return answered.with_answer(Once(body, replayed=False))

    return run
