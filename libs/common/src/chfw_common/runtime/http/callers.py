"""Who calls: the claims of a signed token. The Party never comes from a body."""

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.roles import SUPPLIER_ROLES, Role
from chfw_common.runtime.http.problems import Problem

ALGORITHMS = ["ES256"]


@dataclass(frozen=True, slots=True)
class Caller:
    """One User ID of a Party, in its role."""

    party: PartyId
    user_id: UserId
    role: Role


class TokenVerifier:
    """Verifies tokens with the public keys of a JWKS file; the file is read again when it has changed."""

    def __init__(self, jwks_file: Path, audience: str) -> None:
        self._file = jwks_file
        self._claims = jwt.JWTClaimsRegistry(
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            party={"essential": True},
            user_id={"essential": True},
            role={"essential": True},
        )
        self._read_at = 0.0
        self._keys: KeySet | None = None

    def verify(self, token: str) -> Caller:
        """The caller a token speaks for. Raises Problem 401 for anything but a valid token."""
        try:
            claims = jwt.decode(token, self._current_keys(), algorithms=ALGORITHMS).claims
            self._claims.validate(claims)
            return Caller(PartyId(str(claims["party"])), UserId(str(claims["user_id"])), Role(claims["role"]))
        except (JoseError, ValueError, TypeError) as error:
            # TypeError: joserfc looks into a header of the sender's before it knows its types ("crit": null).
            raise Problem(
                401,
                "invalid_token",
                "The bearer token is missing or not valid.",
                headers={"WWW-Authenticate": "Bearer"},
            ) from error

    def _current_keys(self) -> KeySet:
        changed = self._file.stat().st_mtime
        if self._keys is None or changed != self._read_at:
            self._keys = KeySet.import_key_set(json.loads(self._file.read_text()))
            self._read_at = changed
        return self._keys


async def caller(request: Request) -> Caller:
    """The caller of a request (a dependency)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Problem(
            401, "invalid_token", "The bearer token is missing or not valid.", headers={"WWW-Authenticate": "Bearer"}
        )
    verifier: TokenVerifier = request.app.state.verifier
    return verifier.verify(token)


def only(*roles: Role) -> Callable[[Request], Coroutine[Any, Any, Caller]]:
    """A dependency that admits callers of these roles alone."""

    async def admitted(request: Request) -> Caller:
        found = await caller(request)
        if found.role not in roles:
            raise Problem(403, "wrong_role", "The role of this User ID may not do this.")
        return found

    return admitted


supplier = only(*SUPPLIER_ROLES)
dcc = only(Role.DCC)
