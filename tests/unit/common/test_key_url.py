"""Keys at a URL: when they are fetched, who waits for that, and what an issuer that cannot be reached leaves."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey, KeySet
from structlog.testing import capture_logs

from chfw_common.runtime.http.key_url import FRESH, KEPT, LARGEST, MOST_WAITING, PAUSE, KeyUrl, fetch_from
from chfw_common.runtime.http.keys import NoKeysError, UnusableSetError

SOURCE = "https://issuer.example/jwks"


def _key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": kid})


class Issuer:
    """What is published, how often it was fetched, and whether it can be reached."""

    def __init__(self, *kids: str) -> None:
        self.published = [_key(kid) for kid in kids]
        self.fetched = 0
        self.down = False
        self.held: asyncio.Event | None = None

    async def fetch(self) -> bytes:
        """The document as it is when the fetch begins."""
        self.fetched += 1
        document = json.dumps(KeySet([*self.published]).as_dict(private=False)).encode()
        if self.held is not None:
            await self.held.wait()
        if self.down:
            raise httpx2.ConnectError("refused")
        return document


class Time:
    """The loop's own time (it runs ahead when nothing else is to do), and jumps of ours."""

    def __init__(self) -> None:
        self.jumped = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.jumped


@pytest.fixture
def time() -> Time:
    """The time of the keys."""
    return Time()


def _kids(keys: KeySet) -> set[Any]:
    return {key.kid for key in keys.keys}


pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


async def test_known_keys_are_fetched_once_and_again_when_they_are_old(time: Time) -> None:
    issuer = Issuer("a")
    keys = KeyUrl(issuer.fetch, SOURCE, now=time)
    for _ in range(5):
        assert _kids(await keys.keys_for("a")) == {"a"}
    assert issuer.fetched == 1
    time.jumped += FRESH + 1
    await keys.keys_for("a")
    await asyncio.sleep(PAUSE)
    assert issuer.fetched == 2


async def test_a_key_that_is_withdrawn_is_out_when_the_set_is_old(time: Time) -> None:
    issuer = Issuer("a", "b")
    keys = KeyUrl(issuer.fetch, SOURCE, now=time)
    assert _kids(await keys.keys_for("a")) == {"a", "b"}
    issuer.published = [_key("b")]
    time.jumped += 2 * FRESH + 1
    assert _kids(await keys.keys_for("a")) == {"b"}


async def test_a_new_key_counts_in_the_request_that_names_it_first(time: Time) -> None:
    issuer = Issuer("a")
    keys = KeyUrl(issuer.fetch, SOURCE, now=time)
    await keys.keys_for("a")
    issuer.published.append(_key("b"))
    assert _kids(await keys.keys_for("b")) == {"a", "b"}


async def test_a_key_published_while_a_fetch_is_under_way_counts_too(time: Time) -> None:
    issuer = Issuer("a")
    keys = KeyUrl(issuer.fetch, SOURCE, now=time)
    await keys.keys_for("a")
    await asyncio.sleep(PAUSE)
    issuer.held = asyncio.Event()
    early = asyncio.create_task(keys.keys_for("invented"))
    await asyncio.sleep(0.1)
    issuer.published.append(_key("b"))
    late = asyncio.create_task(keys.keys_for("b"))
    await asyncio.sleep(0.1)
    issuer.held.set()
    assert "b" in _kids(await late)
    await early


async def test_invented_key_ids_cost_one_fetch_a_second(time: Time) -> None:
    issuer = Issuer("a")
    keys = KeyUrl(issuer.fetch, SOURCE, now=time)
    await keys.keys_for("a")
    begun = time()
    for round_ in range(10):
        await asyncio.gather(*(keys.keys_for(f"invented-{round_}-{n}") for n in range(50)))
    assert issuer.fetched - 1 <= (time() - begun) / PAUSE + 1


async def test_who_waits_for_an_unknown_key_stops_nobody_and_is_bounded(time: Time) -> None:
    issuer = Issuer("a")
    keys = KeyUrl(issuer.fetch, SOURCE, now=time)
    await keys.keys_for("a")
    issuer.held = asyncio.Event()
    waiting = [asyncio.create_task(keys.keys_for(f"invented-{n}")) for n in range(MOST_WAITING)]
    await asyncio.sleep(2 * PAUSE)
    with pytest.raises(NoKeysError):
        await keys.keys_for("one more")
    begun = time()
    assert _kids(await keys.keys_for("a")) == {"a"}
    assert time() == begun
    issuer.held.set()
    await asyncio.gather(*waiting)


async def test_an_issuer_that_cannot_be_reached_leaves_the_last_good_keys_for_a_day(time: Time) -> None:
    issuer = Issuer("a")
    keys = KeyUrl(issuer.fetch, SOURCE, now=time)
    await keys.keys_for("a")
    issuer.down = True
    time.jumped += KEPT - 10
    with capture_logs() as lines:
        assert _kids(await keys.keys_for("a")) == {"a"}
        assert _kids(await keys.keys_for("a")) == {"a"}
    assert [line["action"] for line in lines] == ["keys_kept"]
    time.jumped += 20
    with pytest.raises(NoKeysError):
        await keys.keys_for("a")
    issuer.down = False
    assert _kids(await keys.keys_for("a")) == {"a"}


async def test_without_any_good_set_there_are_no_keys(time: Time) -> None:
    issuer = Issuer("a")
    issuer.down = True
    keys = KeyUrl(issuer.fetch, SOURCE, now=time)
    with pytest.raises(NoKeysError):
        await keys.keys_for("a")


async def test_a_request_that_is_given_up_leaves_the_fetch_to_the_others(time: Time) -> None:
    issuer = Issuer("a")
    issuer.held = asyncio.Event()
    keys = KeyUrl(issuer.fetch, SOURCE, now=time)
    first, second = (asyncio.create_task(keys.keys_for("a")) for _ in range(2))
    await asyncio.sleep(0.1)
    first.cancel()
    issuer.held.set()
    assert _kids(await second) == {"a"}
    assert issuer.fetched == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(302, headers={"Location": "https://elsewhere.example"}),
        httpx2.Response(500),
        httpx2.Response(200, content=b" " * (LARGEST + 1)),
    ],
)
async def test_an_answer_that_is_no_document_of_keys_is_refused(answer: httpx2.Response) -> None:
    asked: list[str] = []

    def answered(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return answer

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answered)) as client:
        with pytest.raises(UnusableSetError):
            await fetch_from(SOURCE, client)()
    assert asked == [SOURCE]
