"""The key file: what an issuer, an editor or a full disk may make of it, and who is admitted then."""

import asyncio
import json
from base64 import urlsafe_b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey
from structlog.testing import capture_logs

from chfw_cli.tokens import AUDIENCE, Issuer
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.roles import Role
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.http.callers import LONGEST_LIFE, Caller, TokenVerifier
from chfw_common.runtime.http.keys import KeyFile
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.settings import LOCAL_ISSUER
from tests.support.events import Json
from tests.support.fuzzing import inputs

CALLER = Caller(PartyId("p"), UserId("u"), Role.DCC)
LEEWAY = timedelta(seconds=30)


class Keys:
    """A key file, its issuer, and a verifier that has read nothing yet."""

    def __init__(self, folder: Path) -> None:
        self.issuer = Issuer.open(folder)
        self.file = folder / "jwks.json"
        self.signing = ECKey.import_key(json.loads((folder / "signing.json").read_text()))
        self.good: dict[str, Any] = json.loads(self.file.read_text())
        self.verifier = TokenVerifier(KeyFile(self.file), issuer=LOCAL_ISSUER, audience=AUDIENCE, leeway=LEEWAY)

    def write(self, *others: object) -> None:
        """The good key behind others."""
        self.file.write_text(json.dumps({"keys": [*others, *self.good["keys"]]}))

    def verify(self, token: str) -> Caller:
        """What the verifier makes of a token."""
        return asyncio.run(self.verifier.verify(token))

    def admits(self) -> bool:
        """Whether the issuer's token is taken; every other answer than the refusal of a token is a failure."""
        token = self.issuer.token(CALLER.party, CALLER.user_id, CALLER.role)
        try:
            return self.verify(token) == CALLER
        except Problem as problem:
            assert problem.status == 401  # noqa: PT017 - it may be admitted or not
            return False

    def refusal(self, token: str) -> Problem:
        """Why a token is refused."""
        with pytest.raises(Problem) as refused:
            self.verify(token)
        assert refused.value.status == 401
        return refused.value

    def signed(self, **changes: Any) -> str:
        """A token with some claims changed, left out where the change is None."""
        now = int(machine_now().timestamp())
        claims = {
            "iss": LOCAL_ISSUER,
            "aud": AUDIENCE,
            "party": "p",
            "user_id": "u",
            "role": "DCC",
            "iat": now,
            "exp": now + 60,
        }
        stated = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        # As JSON in ASCII, so that a claim may hold half a surrogate pair.
        payload = json.dumps(stated).encode()
        return jws.serialize_compact({"alg": "ES256", "kid": self.signing.kid}, payload, self.signing)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """A good file."""
    return Keys(tmp_path)


def _point() -> dict[str, Any]:
    return {**ECKey.generate_key("P-256").as_dict(private=False), "kid": "other"}


UNUSABLE: dict[str, Any] = {
    "unknown curve": {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA", "kid": "c"},
    "another curve": {**ECKey.generate_key("P-384").as_dict(private=False), "kid": "384"},
    "RSA without n": {"kty": "RSA", "e": "AQAB", "kid": "r"},
    "unknown type": {"kty": "ML-DSA", "kid": "m"},
    "no type": {"kid": "n"},
    "a secret": {"kty": "oct", "k": "c2VjcmV0", "kid": "s"},
    "a type that is no text": {"kty": ["EC"], "crv": {}},
    "half a point": {"kty": "EC", "crv": "P-256", "x": "AA"},
    "no point of the curve": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    "coordinates of other types": {"kty": "EC", "crv": "P-256", "x": 1, "y": None},
    "coordinates not ASCII": {"kty": "EC", "crv": "P-256", "x": "\u00e9", "y": "\ud800"},
    "for encryption": {**_point(), "use": "enc"},
    "for another algorithm": {**_point(), "alg": "ES512"},
    "operations that are no list": {**_point(), "key_ops": 1},
    "not to verify": {**_point(), "key_ops": ["sign"]},
    "a kid that is no text": {**_point(), "kid": [1]},
    "without kid": {name: value for name, value in _point().items() if name != "kid"},
    "a kid of no characters": {**_point(), "kid": ""},
    "no object": "key",
    "null": None,
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_key_that_cannot_be_used_shuts_nobody_out_and_is_logged(keys: Keys, name: str) -> None:
    keys.write(UNUSABLE[name])
    with capture_logs() as lines:
        assert keys.admits()
        assert keys.admits()
    (ignored,) = (line for line in lines if line["action"] == "keys_ignored")
    assert ignored["reasons"][0].startswith("key 0: ")


@inputs()
@given(others=st.lists(Json | st.sampled_from([*UNUSABLE.values()]), max_size=3))
def test_whatever_else_is_in_the_set_the_good_key_counts(
    tmp_path_factory: pytest.TempPathFactory, others: list[Any]
) -> None:
    keys = Keys(tmp_path_factory.mktemp("keys"))
    keys.write(*others)
    assert keys.admits()


BROKEN: dict[str, bytes] = {
    "empty": b"",
    "cut short": b'{"keys": [{"kty": "EC", "crv": "P-2',
    "not UTF-8": b'{"keys": ["\xff"]}',
    "deep": b"[" * 100_000,
    "no object": b"[]",
    "no list": b'{"keys": {}}',
    "nothing named keys": b'{"key": []}',
    "nothing usable": b'{"keys": [{"kty": "RSA", "e": "AQAB"}, {"kty": "EC", "crv": "P-999"}]}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_used_leaves_the_last_good_keys_and_is_logged_once(keys: Keys, name: str) -> None:
    assert keys.admits()
    keys.file.write_bytes(BROKEN[name])
    with capture_logs() as lines:
        assert keys.admits()
        assert keys.admits()
    assert [line["action"] for line in lines] == ["keys_kept"]
    assert lines[0]["log_level"] == "error"


def test_a_file_that_is_gone_leaves_the_last_good_keys(keys: Keys) -> None:
    assert keys.admits()
    keys.file.unlink()
    with capture_logs() as lines:
        assert keys.admits()
    assert [line["action"] for line in lines] == ["keys_kept"]


def test_a_file_that_was_cut_short_counts_again_as_soon_as_it_is_whole(keys: Keys, tmp_path: Path) -> None:
    assert keys.admits()
    later = tmp_path / "later"
    later.mkdir()
    whole = Keys(later)
    text = whole.file.read_bytes()
    for end in range(0, len(text), 20):
        keys.file.write_bytes(text[:end])
        assert keys.admits()
    keys.file.write_bytes(text)
    assert not keys.admits()
    keys.issuer = whole.issuer
    assert keys.admits()


def test_a_key_that_is_taken_out_of_a_good_set_is_no_longer_taken(keys: Keys) -> None:
    assert keys.admits()
    keys.file.write_text(json.dumps({"keys": [_point()]}))
    assert not keys.admits()


def test_a_set_of_no_keys_admits_nobody(keys: Keys) -> None:
    assert keys.admits()
    keys.file.write_text('{"keys": []}')
    assert not keys.admits()


@pytest.mark.parametrize("text", [None, *BROKEN.values()])
def test_without_any_good_set_the_service_says_that_it_lacks_keys(keys: Keys, text: bytes | None) -> None:
    keys.file.unlink() if text is None else keys.file.write_bytes(text)
    with pytest.raises(Problem) as refused:
        keys.verify(keys.signed())
    assert (refused.value.status, refused.value.code) == (503, "no_keys")
    assert "Retry-After" in refused.value.headers


@pytest.mark.parametrize("claim", ["iat", "nbf"])
@pytest.mark.parametrize(("ahead", "taken"), [(0, True), (25, True), (40, False)])
def test_a_clock_that_is_ahead_by_no_more_than_the_leeway_is_taken(
    keys: Keys, claim: str, ahead: int, taken: bool
) -> None:
    token = keys.signed(**{claim: int(machine_now().timestamp()) + ahead})
    if taken:
        assert keys.verify(token) == CALLER
    else:
        assert f"{claim} is no time, or more than 30 s ahead" in keys.refusal(token).detail


@pytest.mark.parametrize(("ago", "taken"), [(25, True), (40, False)])
def test_the_leeway_counts_at_the_end_of_a_token_too(keys: Keys, ago: int, taken: bool) -> None:
    token = keys.signed(exp=int(machine_now().timestamp()) - ago)
    if taken:
        assert keys.verify(token) == CALLER
    else:
        assert keys.refusal(token).detail == "The token has expired."


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"iss": "else"}, "claim iss"),
        ({"iss": [LOCAL_ISSUER]}, "claim iss"),
        ({"iss": None}, "lacks 'iss'"),
        ({"aud": "else"}, "claim aud"),
        ({"aud": {AUDIENCE: 1}}, "claim aud"),
        ({"aud": [AUDIENCE, 1]}, "claim aud"),
        ({"iat": None}, "lacks 'iat'"),
        ({"iat": True}, "claim iat"),
        ({"iat": 0.5}, "claim iat"),
        ({"iat": "0"}, "claim iat"),
        ({"nbf": [0]}, "claim nbf"),
        ({"exp": True}, "claim exp"),
        ({"exp": 4e9}, "claim exp"),
        ({"exp": 4_000_000_000}, "lives for more than 3600 s"),
        ({"exp": 10**400}, "lives for more than 3600 s"),
        ({"iat": 0}, "lives for more than 3600 s"),
        ({"jti": 7}, "claim jti"),
        ({"sub": {}}, "claim sub"),
        ({"role": "KING"}, "claim role"),
        ({"role": ["DCC"]}, "claim role"),
        ({"exp": "soon"}, "claim exp"),
        ({"party": None}, "lacks 'party'"),
        ({"exp": None, "aud": None}, "lacks 'aud,exp'"),
        *(({name: text}, f"claim {name}") for name in ("party", "user_id")
          for text in ("a\0b", "a\ud800b", "a\nb", " ", "x" * 201, 7, ["p"], {"a": 1})),
    ],
)  # fmt: skip
def test_a_refused_token_is_told_why(keys: Keys, changes: dict[str, Any], said: str) -> None:
    problem = keys.refusal(keys.signed(**changes))
    assert said in problem.detail
    assert problem.headers["WWW-Authenticate"] == f'Bearer error="invalid_token", error_description="{problem.detail}"'


def test_what_is_no_token_of_ours_is_told_why(keys: Keys, tmp_path: Path) -> None:
    folder = tmp_path / "stranger"
    folder.mkdir()
    stranger = Keys(folder)
    assert "a key that is not known" in keys.refusal(stranger.signed()).detail
    head, claims, _ = keys.signed().split(".")
    assert "signature" in keys.refusal(".".join([head, claims, keys.signed(party="q").split(".")[2]])).detail
    other = {"alg": "ES512", "kid": keys.signing.kid}
    assert "ES256" in keys.refusal(jwt.encode(other, {}, ECKey.generate_key("P-521"), ["ES512"])).detail
    for text in ("abc", "a.b.c", "\u00e9.\u00e9.\u00e9", "."):
        assert "not a JWT" in keys.refusal(text).detail


def test_a_token_may_live_for_an_hour(keys: Keys) -> None:
    now, hour = int(machine_now().timestamp()), int(LONGEST_LIFE.total_seconds())
    assert keys.verify(keys.signed(iat=now, exp=now + hour)) == CALLER
    assert "lives for more" in keys.refusal(keys.signed(iat=now, exp=now + hour + 1)).detail


@pytest.mark.parametrize("kid", [None, "", "x" * 201, 7, ["k"]])
def test_a_token_names_the_key_it_is_signed_with(keys: Keys, kid: object) -> None:
    head: dict[str, object] = {"alg": "ES256"}
    token = _resigned(keys, head if kid is None else {**head, "kid": kid})
    assert keys.refusal(token).status == 401


@pytest.mark.parametrize(("typ", "taken"), [("JWT", True), ("at+jwt", True), ("dpop+jwt", False), (1, False)])
def test_only_an_access_token_is_taken(keys: Keys, typ: object, taken: bool) -> None:
    token = _resigned(keys, {"alg": "ES256", "kid": keys.signing.kid, "typ": typ})
    if taken:
        assert keys.verify(token) == CALLER
    else:
        keys.refusal(token)


def test_of_two_keys_of_one_id_the_first_counts(keys: Keys) -> None:
    keys.file.write_text(json.dumps({"keys": [*keys.good["keys"], {**_point(), "kid": keys.signing.kid}]}))
    assert keys.admits()


def _resigned(keys: Keys, head: dict[str, object]) -> str:
    """The claims of a good token under another head, with a signature over both."""
    claims = keys.signed().split(".")[1]
    text = f"{urlsafe_b64encode(json.dumps(head).encode()).decode().rstrip('=')}.{claims}"
    private = keys.signing.private_key
    assert private is not None
    r, s = decode_dss_signature(private.sign(text.encode(), ECDSA(SHA256())))
    mark = urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode().rstrip("=")
    return f"{text}.{mark}"
