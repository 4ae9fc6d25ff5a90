"""Who calls: the claims of a signed token. The Party never comes from a body.

A token is a JWT of one issuer for one audience, signed with ES256 by a key it names, and lives for an hour at most.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

from fastapi import Request
from joserfc import jws, jwt
from joserfc.errors import (
    BadSignatureError,
    ExpiredTokenError,
    InvalidClaimError,
    InvalidKeyIdError,
    JoseError,
    MissingAlgorithmError,
    MissingClaimError,
    UnsupportedAlgorithmError,
)
from starlette.requests import HTTPConnection

from chfw_common.kernel.ids import LONGEST_NAME, PartyId, UserId
from chfw_common.kernel.roles import SUPPLIER_ROLES, Role
from chfw_common.kernel.texts import UnseenTextError, words
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.http.keys import ALGORITHM, LONGEST_KID, Keys, NoKeysError
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.settings import TOKEN_LEEWAY

LONGEST_LIFE = timedelta(hours=1)
"""Between `iat` and `exp` of a token: a User ID that is withdrawn at the issuer is out after this."""
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""Media types of an access token in a header `typ` (RFC 7519, 5.1; RFC 9068, 2.1)."""
_CLAIMS: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("exp", "iat", "nbf"), int),
    **dict.fromkeys(("iss", "sub", "jti", "party", "user_id", "role"), str),
    "aud": (str, list),
}
_UNREADABLE = "The token is not a JWT that can be read here."
_REASONS: dict[type[Exception], str] = {
    BadSignatureError: "The signature of the token is not that of its key.",
    InvalidKeyIdError: "The token is signed with a key that is not known here.",
    MissingAlgorithmError: f"The token must be signed with {ALGORITHM}.",
    UnsupportedAlgorithmError: f"The token must be signed with {ALGORITHM}.",
}


class LongLifeError(ValueError):
    """The time from `iat` to `exp` is longer than a token may live."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One User ID of a Party, in its role. `token` names the token that says so, for the audit log; it is no secret."""

    party: PartyId
    user_id: UserId
    role: Role
    token: str = field(default="", compare=False)


class TokenVerifier:
    """Verifies the tokens of one issuer with its public keys.

    `leeway` is how far the issuer's clock may be from ours, for `iat`, `nbf` and `exp`.
    """

    def __init__(self, keys: Keys, *, issuer: str, audience: str, leeway: timedelta = TOKEN_LEEWAY) -> None:
        self._keys = keys
        self._leeway = leeway
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(machine_now().timestamp()),
            leeway=int(leeway.total_seconds()),
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            iat={"essential": True},
            party={"essential": True},
            user_id={"essential": True},
            role={"essential": True},
        )

    async def verify(self, token: str) -> Caller:
        """The caller a token speaks for. Raises Problem 401, which says why, for anything but a valid token.

        Raises Problem 503 while there are no keys to verify it with.
        """
        try:
            kid = _kid_of(token)
            claims = jwt.decode(token, await self._keys.keys_for(kid), algorithms=[ALGORITHM]).claims
            _require_types(claims)
            self._claims.validate(claims)
            _require_short_life(claims)
            return replace(_caller_of(claims), token=_name_of(claims, token))
        except NoKeysError as error:
            raise Problem(
                503, "no_keys", "There are no keys to verify a token with.", headers={"Retry-After": "2"}
            ) from error
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            # TypeError: joserfc looks into a header of the sender's before it knows its types ("crit": null).
            raise refused_token(self._why(error)) from error

    def _why(self, error: Exception) -> str:
        """Why a token is refused. What is said of claims is said of signed ones only: the signature comes first."""
        if isinstance(error, ExpiredTokenError):
            return "The token has expired."
        if isinstance(error, LongLifeError):
            return f"The token lives for more than {int(LONGEST_LIFE.total_seconds())} s."
        if isinstance(error, MissingClaimError):
            return f"The token lacks {error.description.removeprefix('Missing claim: ')}."
        if isinstance(error, InvalidClaimError):
            if error.claim in ("iat", "nbf"):
                seconds = int(self._leeway.total_seconds())
                return f"The claim {error.claim} is no time, or more than {seconds} s ahead of the clock here."
            return f"The claim {error.claim} is not one that is taken here."
        return next((said for kind, said in _REASONS.items() if isinstance(error, kind)), _UNREADABLE)


def refused_token(reason: str) -> Problem:
    """The refusal of a token, as RFC 6750 has it. The reason is ASCII without quotes, and nothing of the sender's."""
    challenge = f'Bearer error="invalid_token", error_description="{reason}"'
    return Problem(401, "invalid_token", reason, headers={"WWW-Authenticate": challenge})


def _kid_of(token: str) -> str:
    """The id of the key that a token says it is signed with. Raises JoseError or ValueError."""
    head = jws.extract_compact(token.encode()).headers()
    kid, kind = head.get("kid"), head.get("typ", "JWT")
    if not isinstance(kid, str) or not 0 < len(kid) <= LONGEST_KID:
        raise InvalidKeyIdError("kid")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise ValueError("typ")
    return kid


def _require_types(claims: Mapping[str, Any]) -> None:
    """Raise InvalidClaimError for a claim that is not of its type (RFC 7519): times are whole numbers of seconds."""
    for name, kind in _CLAIMS.items():
        # A truth value is a number to Python, and not to JSON.
        if name in claims and (not isinstance(claims[name], kind) or isinstance(claims[name], bool)):
            raise InvalidClaimError(name)
    audience = claims.get("aud", [])
    if isinstance(audience, list) and not all(isinstance(one, str) for one in audience):
        raise InvalidClaimError("aud")


def _require_short_life(claims: Mapping[str, Any]) -> None:
    if claims["exp"] - claims["iat"] > LONGEST_LIFE.total_seconds():
        raise LongLifeError


def _caller_of(claims: Mapping[str, Any]) -> Caller:
    party, user_id, role = (_text(claims, name) for name in ("party", "user_id", "role"))
    try:
        return Caller(PartyId(party), UserId(user_id), Role(role))
    except ValueError as error:
        raise InvalidClaimError("role") from error


def _name_of(claims: Mapping[str, Any], token: str) -> str:
    """What a token is called where it must not be shown: its `jti`, else its SHA-256."""
    try:
        return _text(claims, "jti")
    except (KeyError, InvalidClaimError):
        return f"sha256:{sha256(token.encode()).hexdigest()}"


def _text(claims: Mapping[str, Any], name: str) -> str:
    """A claim that names somebody: words that can be stored, compared and printed, with no blank round them."""
    value = claims[name]
    try:
        if isinstance(value, str) and len(value) <= LONGEST_NAME and words(value) == value:
            return value
    except UnseenTextError as error:
        raise InvalidClaimError(name) from error
    raise InvalidClaimError(name)


CALLER = "caller"
"""Where a request has its verified caller, in the state of its scope."""


def bearer_token(connection: HTTPConnection) -> str:
    """The token that a request carries. Raises Problem 401 for a request without one."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        # Without an error code: the request says nothing of a token (RFC 6750, 3.1).
        raise Problem(401, "invalid_token", "A bearer token is needed.", headers={"WWW-Authenticate": "Bearer"})
    return token.strip()


def wrong_role() -> Problem:
    """The refusal of a caller whose role is not one of those that a route admits."""
    return Problem(403, "wrong_role", "The role of this User ID may not do this.")


class Admitted:
    """A dependency that gives the caller of a request, and by which its route says which roles it admits.

    The guard of the application has verified the token and compared the role before anything of the body was read
    (`chfw_common.runtime.http.guard`); here the role is compared once more, with the caller it has found.
    """

    def __init__(self, *roles: Role) -> None:
        self.roles = frozenset(roles)

    async def __call__(self, request: Request) -> Caller:
        """The caller. Raises Problem 403; KeyError when no guard stands before the route."""
        found: Caller = request.scope["state"][CALLER]
        if found.role not in self.roles:
            raise wrong_role()
        return found


caller = Admitted(*Role)
supplier = Admitted(*SUPPLIER_ROLES)
dcc = Admitted(Role.DCC)
