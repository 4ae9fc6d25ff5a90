"""The Idempotency-Key of a request: it is the request's id, unique per Party, and one key has one content."""

from hashlib import sha256
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from chfw_common.kernel.ids import PartyId
from chfw_common.runtime.advisory import lock_key
from chfw_common.runtime.http.bodies import only_header
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.http.structured import CHARACTER, parse_string
from chfw_common.runtime.service import Tx

HEADER = "Idempotency-Key"
REPLAYED = {"Idempotent-Replayed": "true"}
LONGEST = 200
PATTERN = f'^"{CHARACTER}{{1,{LONGEST}}}"$'
"""How a key is written: a String of 1 to 200 characters."""
KEYED: dict[str, Any] = {
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "required": True,
            "description": "Names the request: the same key with the same content has one effect and one answer, so "
            "a request whose outcome is not known can be repeated. A text in double quotes (RFC 9651, 3.3.3).",
            "example": '"8e03978e-40d5-43e8-bc93-6894a57f9324"',
            "schema": {"type": "string", "pattern": PATTERN},
        }
    ]
}
"""What the document of a route says of the key: `openapi_extra`."""


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
