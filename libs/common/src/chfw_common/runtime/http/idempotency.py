"""The Idempotency-Key of a request: it is the request's id, unique per Party, and one key has one content."""

import re
from hashlib import sha256
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from chfw_common.kernel.ids import PartyId
from chfw_common.runtime.advisory import lock_key
from chfw_common.runtime.http.bodies import only_header
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.service import Tx

HEADER = "Idempotency-Key"
REPLAYED = {"Idempotent-Replayed": "true"}
KEYED: dict[str, Any] = {
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "required": True,
            "description": "Names the request: the same key with the same content has one effect and one answer.",
            "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
        }
    ]
}
"""What the document of a route says of the key: `openapi_extra`."""
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


async def idempotency_key(request: Request) -> str:
    """The key of a request (a dependency). Raises Problem 400 when it is missing or not 1 to 200 visible characters."""
    key = only_header(request, HEADER).strip('"')
    if _KEY.fullmatch(key) is None:
        raise Problem(400, "idempotency_key_required", f"{HEADER} is needed: 1 to 200 visible ASCII characters.")
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
