"""The local issuer of tokens: one signing key in the state directory, its public half as the JWKS services read."""

import json
import os
import uuid
from datetime import timedelta
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from chfw_cli.local.state import write_once, write_text
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.roles import Role
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.http.callers import LONGEST_LIFE
from chfw_common.runtime.settings import LOCAL_ISSUER

AUDIENCE = "chfw"
LIFE = LONGEST_LIFE
PRIVATE_MODE = 0o600


class ProductionError(RuntimeError):
    """Somebody wants to sign tokens with a key of this machine where a real installation runs."""


class Issuer:
    """Signs tokens for Parties. For this machine only: a real installation has an identity provider."""

    def __init__(self, key: ECKey) -> None:
        self._key = key

    @classmethod
    def open(cls, keys: Path) -> "Issuer":
        """The issuer of a key directory; key and JWKS file are made at the first call.

        Raises ProductionError where CHFW_ENV is `production`.
        """
        if os.environ.get("CHFW_ENV") == "production":
            raise ProductionError("CHFW_ENV is production: the identity provider signs tokens there, nobody else")
        private = keys / "signing.json"
        if not private.exists():
            made = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
            write_once(private, json.dumps(made.as_dict(private=True)), mode=PRIVATE_MODE)
        # Read back in any case: another process may have written its key first.
        issuer = cls(ECKey.import_key(json.loads(private.read_text())))
        write_text(keys / "jwks.json", json.dumps(issuer.public_keys()), durable=True)
        return issuer

    def public_keys(self) -> dict[str, object]:
        """The JWKS document."""
        return dict(KeySet([self._key]).as_dict(private=False))

    def token(self, party: PartyId, user_id: UserId, role: Role, life: timedelta = LIFE) -> str:
        """A token that speaks for one User ID of a Party."""
        issued = machine_now()
        claims = {
            "iss": LOCAL_ISSUER,
            "aud": AUDIENCE,
            "jti": str(uuid.uuid4()),
            "party": party,
            "user_id": user_id,
            "role": role.value,
            "iat": int(issued.timestamp()),
            "exp": int((issued + life).timestamp()),
        }
        return jwt.encode({"alg": "ES256", "kid": self._key.kid}, claims, self._key)
