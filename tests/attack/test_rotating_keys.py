"""Tokens of any OAuth 2 issuer: its keys rotate under load, and no token that it signed is refused."""

import asyncio

import httpx2
import pytest

from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.roles import Role
from chfw_common.runtime.http.callers import Caller, TokenVerifier
from chfw_common.runtime.http.key_url import PAUSE, KeyUrl, fetch_from
from chfw_common.runtime.http.problems import Problem
from tests.support.oauth import AUDIENCE, ISSUER, OAuthIssuer, client_credentials

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

CLIENTS = 8
ROTATIONS = 20
BETWEEN = PAUSE * 0.7
"""Seconds between two rotations: shorter than the pause between two fetches, the hardest case."""


async def test_keys_rotate_under_load_and_no_token_is_refused() -> None:
    issuer = OAuthIssuer()
    callers = [Caller(PartyId(f"SUP{n:02}"), UserId(f"u{n}"), Role.IMPORT_SUPPLIER) for n in range(CLIENTS)]
    for caller in callers:
        issuer.enrol(caller.party, caller)
    loop, rotated, taken = asyncio.get_running_loop(), asyncio.Event(), 0
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(issuer.app), base_url=ISSUER) as client:
        keys = KeyUrl(fetch_from(f"{ISSUER}/jwks", client), ISSUER, now=loop.time)
        verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)

        async def calls(caller: Caller) -> None:
            nonlocal taken
            while not rotated.is_set():
                token = await client_credentials(client, "/token", caller.party, f"secret of {caller.party}")
                assert await verifier.verify(token) == caller
                taken += 1
                await asyncio.sleep(0.05)

        begun = loop.time()
        working = [asyncio.create_task(calls(caller)) for caller in callers]
        for _ in range(ROTATIONS):
            await asyncio.sleep(BETWEEN)
            issuer.rotate()
        rotated.set()
        await asyncio.gather(*working)
    assert taken > CLIENTS * ROTATIONS
    assert issuer.documents <= (loop.time() - begun) / PAUSE + 2


async def test_a_token_of_a_stranger_costs_one_fetch_a_second_and_is_refused() -> None:
    issuer, stranger = OAuthIssuer(), OAuthIssuer()
    for _ in range(3):
        stranger.rotate()
    stranger.enrol("SUP01", Caller(PartyId("SUP01"), UserId("u"), Role.IMPORT_SUPPLIER))
    loop = asyncio.get_running_loop()
    async with (
        httpx2.AsyncClient(transport=httpx2.ASGITransport(issuer.app), base_url=ISSUER) as client,
        httpx2.AsyncClient(transport=httpx2.ASGITransport(stranger.app), base_url=ISSUER) as other,
    ):
        keys = KeyUrl(fetch_from(f"{ISSUER}/jwks", client), ISSUER, now=loop.time)
        verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)
        token = await client_credentials(other, "/token", "SUP01", "secret of SUP01")
        begun = loop.time()
        for _ in range(5):
            answers = await asyncio.gather(*(verifier.verify(token) for _ in range(20)), return_exceptions=True)
            assert {answer.status for answer in answers if isinstance(answer, Problem)} == {401}
            assert all(isinstance(answer, Problem) for answer in answers)
    assert issuer.documents <= (loop.time() - begun) / PAUSE + 2
