"""What a token is called in the audit log: never the token itself."""

import asyncio
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from chfw_cli.tokens import AUDIENCE, Issuer
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.roles import Role
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.http.callers import Caller, TokenVerifier
from chfw_common.runtime.http.keys import KeyFile
from chfw_common.runtime.settings import LOCAL_ISSUER


def token(folder: Path, **claims: Any) -> str:
    """A good token with more claims."""
    key = ECKey.import_key(json.loads((folder / "signing.json").read_text()))
    now = int(machine_now().timestamp())
    said = {
        "iss": LOCAL_ISSUER,
        "aud": AUDIENCE,
        "party": "p",
        "user_id": "u",
        "role": "DCC",
        "iat": now,
        "exp": now + 60,
        **claims,
    }
    return jwt.encode({"alg": "ES256", "kid": key.kid}, said, key)


def caller(folder: Path, made: str) -> Caller:
    """Whom a token speaks for."""
    verifier = TokenVerifier(KeyFile(folder / "jwks.json"), issuer=LOCAL_ISSUER, audience=AUDIENCE)
    return asyncio.run(verifier.verify(made))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Issuer.open(tmp_path)
    return tmp_path


def test_a_token_is_called_by_its_jti(folder: Path) -> None:
    assert caller(folder, token(folder, jti="a-7")).token == "a-7"


@pytest.mark.parametrize("claims", [{}, *({"jti": jti} for jti in ("", " ", "a\nb", "x" * 201))])
def test_a_token_without_a_name_that_can_be_kept_is_called_by_its_digest(folder: Path, claims: dict[str, Any]) -> None:
    made = token(folder, **claims)
    assert caller(folder, made).token == f"sha256:{sha256(made.encode()).hexdigest()}"


def test_who_calls_is_the_same_whatever_the_token_is_called(folder: Path) -> None:
    one, other = (caller(folder, token(folder, jti=jti)) for jti in ("a", "b"))
    assert one == other
    assert (one.party, one.user_id, one.role) == (PartyId("p"), UserId("u"), Role.DCC)
