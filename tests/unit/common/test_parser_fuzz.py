"""Ids, cursors, instants and tokens: any text is one, or is refused in the one way that its reader promises."""

import asyncio
import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from chfw_cli.tokens import AUDIENCE, Issuer
from chfw_common.kernel.ids import GREATEST_HUB, LEAST_HUB, InvalidIdError, PartyId, UserId, hub_eui64, parse_hub_id
from chfw_common.kernel.instants import format_instant, parse_instant
from chfw_common.kernel.roles import Role
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.http.callers import Caller, TokenVerifier
from chfw_common.runtime.http.keys import KeyFile
from chfw_common.runtime.http.paging import read_cursor, write_cursor
from chfw_common.runtime.http.problems import Problem
from chfw_common.runtime.settings import LOCAL_ISSUER
from tests.support.events import Json
from tests.support.fuzzing import inputs

any_text = st.text(st.characters()) | st.binary().map(lambda data: data.decode("latin-1"))
like_an_id = st.text("0123456789abcdefABCDEF-\n \u0660", min_size=14, max_size=25)
like_an_instant = st.from_regex(
    r"[0-9]{4}-?(W?[0-9]{2}-?){1,2}[T ]([0-9]{2}:?){1,3}([.,][0-9]{1,9})?(Z|[+-][0-9:.]{2,8})?"
)
encoded = st.binary().map(base64.urlsafe_b64encode).map(bytes.decode)


@inputs()
@given(any_text | like_an_id)
def test_any_text_is_a_hub_or_no_id(text: str) -> None:
    try:
        hub = parse_hub_id(text)
    except InvalidIdError:
        return
    assert hub_eui64(hub).replace("-", "") == text.replace("-", "").upper()


@inputs()
@given(any_text | like_an_instant)
def test_any_text_is_an_instant_or_a_value_error(text: str) -> None:
    try:
        at = parse_instant(text)
    except ValueError:
        return
    assert parse_instant(format_instant(at)) == at


@inputs()
@given(any_text | encoded | st.integers().map(write_cursor))
def test_any_text_is_a_position_or_a_problem(text: str) -> None:
    try:
        position = read_cursor(text)
    except Problem as problem:
        assert problem.status == 422  # noqa: PT017 - most texts are refused, some are not
        return
    assert position is not None
    assert LEAST_HUB <= position <= GREATEST_HUB
    assert read_cursor(write_cursor(position)) == position


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def good(keys: Path) -> str:
    return Issuer.open(keys).token(PartyId("p"), UserId("u"), Role.DCC)


def _verify(keys: Path, token: str) -> Caller:
    verifier = TokenVerifier(KeyFile(keys / "jwks.json"), issuer=LOCAL_ISSUER, audience=AUDIENCE)
    return asyncio.run(verifier.verify(token))


@pytest.mark.parametrize("crit", [None, [None], 1, {}])
def test_a_header_of_odd_types_is_no_token(keys: Path, good: str, crit: object) -> None:
    token = ".".join([_part({"alg": "ES256", "crit": crit}), *good.split(".")[1:]])
    with pytest.raises(Problem):
        _verify(keys, token)


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize("name", ["", "  ", " p", "p\u00a0", "p\u200b", "\u200b", "p\nq", 5, None, ["p"], True])
@pytest.mark.parametrize("claim", ["party", "user_id"])
def test_a_signed_name_says_something_or_is_refused(keys: Path, good: str, claim: str, name: object) -> None:
    assert good
    key = ECKey.import_key(json.loads((keys / "signing.json").read_text()))
    now = int(machine_now().timestamp())
    good_claims = {"iss": LOCAL_ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 60}
    claims = {**good_claims, "party": "p", "user_id": "u", "role": "DCC", claim: name}
    with pytest.raises(Problem):
        _verify(keys, jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key))


heads = st.fixed_dictionaries(
    {"alg": st.sampled_from(["ES256", "none", "HS256", "ES512", "ECDH-ES", ""]) | Json},
    optional=dict.fromkeys(("kid", "crit", "b64", "enc", "jwk", "typ", "zip"), Json),
)
parts = st.one_of(any_text, encoded, Json.map(_part), heads.map(_part))


@inputs()
@given(data=st.data())
def test_any_text_is_no_token_but_the_one_that_was_signed(keys: Path, good: str, data: st.DataObject) -> None:
    pieces = [data.draw(st.just(part) | parts) for part in good.split(".")]
    token = data.draw(any_text | st.just(".".join(pieces)) | st.lists(parts, max_size=6).map(".".join))
    try:
        caller = _verify(keys, token)
    except Problem as problem:
        assert problem.status == 401  # noqa: PT017 - only one text is a token
        return
    assert token == good
    assert caller == Caller(PartyId("p"), UserId("u"), Role.DCC)


@inputs()
@given(
    claims=st.dictionaries(
        st.sampled_from(["iss", "aud", "exp", "party", "user_id", "role", "nbf", "iat", "jti"]), Json
    )
)
def test_signed_claims_that_say_nothing_are_refused(keys: Path, good: str, claims: dict[str, object]) -> None:
    assert good
    key = ECKey.import_key(json.loads((keys / "signing.json").read_text()))
    token = jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key)
    with pytest.raises(Problem):
        _verify(keys, token)
