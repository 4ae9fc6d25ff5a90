"""An OAuth 2 issuer as a test peer: client credentials (RFC 6749, 4.4) for tokens, a JWKS URL, keys that rotate."""

from datetime import timedelta
from itertools import count
from urllib.parse import parse_qsl

import httpx2
from fastapi import FastAPI, HTTPException, Request
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.http.callers import Caller

ISSUER = "https://issuer.example"
AUDIENCE = "chfw"
KEPT_KEYS = 3


class OAuthIssuer:
    """Each client has a secret and a caller it speaks for. A new key is published before the first token it signs."""

    def __init__(self) -> None:
        self._numbers = count()
        self._keys: list[ECKey] = []
        self.clients: dict[str, tuple[str, Caller]] = {}
        self.documents = 0
        self.app = FastAPI()
        self.app.get("/jwks")(self._document)
        self.app.post("/token")(self._token)
        self.rotate()

    def rotate(self) -> None:
        """Sign with a new key from now on; the last few stay published for the tokens they have signed."""
        made = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": f"key-{next(self._numbers)}"})
        self._keys = [*self._keys, made][-KEPT_KEYS:]

    def enrol(self, client: str, caller: Caller) -> None:
        """Give a client its secret."""
        self.clients[client] = f"secret of {client}", caller

    async def _document(self) -> dict[str, object]:
        self.documents += 1
        return dict(KeySet([*self._keys]).as_dict(private=False))

    async def _token(self, request: Request) -> dict[str, object]:
        form = dict(parse_qsl((await request.body()).decode()))
        client_id = form.get("client_id", "")
        if form.get("grant_type") != "client_credentials" or client_id not in self.clients:
            raise HTTPException(401, "invalid_client")
        secret, caller = self.clients[client_id]
        if form.get("client_secret") != secret:
            raise HTTPException(401, "invalid_client")
        now, life, key = machine_now(), timedelta(minutes=5), self._keys[-1]
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": client_id, "jti": f"{client_id}-{next(self._numbers)}",
            "iat": int(now.timestamp()), "exp": int((now + life).timestamp()),
            "party": caller.party, "user_id": caller.user_id, "role": caller.role.value,
        }  # fmt: skip
        token = jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": key.kid}, claims, key)
        return {"access_token": token, "token_type": "Bearer", "expires_in": int(life.total_seconds())}


async def client_credentials(client: httpx2.AsyncClient, url: str, client_id: str, secret: str) -> str:
    """A token, got as a Supplier's system gets one."""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    answer = await client.post(url, data=form)
    answer.raise_for_status()
    return str(answer.json()["access_token"])
