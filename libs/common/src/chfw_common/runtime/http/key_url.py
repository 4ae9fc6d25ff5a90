"""The public keys of an issuer at its JWKS URL (RFC 7517): fetched, kept, and fetched again for a new one.

Keys are fetched again after `FRESH`, and at once when a token names a key that is not among them, but no more often
than every `PAUSE`: tokens with invented key ids cost the issuer one request a second and nobody else anything. A fetch
that fails leaves the last good set in force, for `KEPT` at most (ADR 0045).
"""

import asyncio
from collections.abc import Awaitable, Callable

import httpx2
import structlog
from joserfc.jwk import KeySet

from chfw_common.runtime.clock import stopwatch
from chfw_common.runtime.http.keys import KeyFile, Keys, NoKeysError, UnusableSetError, read_keys
from chfw_common.runtime.settings import ServiceSettings

log = structlog.get_logger()

FRESH = 300.0
"""Seconds after which keys are fetched again: a key that the issuer withdraws is out after twice this at most."""
KEPT = 24 * 3600.0
"""Seconds for which the last good keys stay in force while the issuer cannot be reached: then nobody is admitted."""
PAUSE = 1.0
"""Seconds between the beginnings of two fetches."""
PATIENCE = 5.0
"""Seconds that one fetch may take."""
LARGEST = 256 << 10
"""Bytes that a document of keys may have."""
MOST_WAITING = 100
"""Requests that wait for a key that is not known yet; more are told to come again."""

Fetch = Callable[[], Awaitable[bytes]]


class KeyUrl:
    """The keys behind a fetch. Only requests that need a fetch wait for one."""

    def __init__(self, fetch: Fetch, source: str, *, now: Callable[[], float] = stopwatch) -> None:
        self._fetch = fetch
        self._source = source
        self._now = now
        self._keys = KeySet([])
        self._good_at: float | None = None
        self._begun_at: float | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._waiting = 0
        self._told = ""

    async def keys_for(self, kid: str) -> KeySet:
        """The keys in force, after a fetch if this one is not among them.

        Raises NoKeysError while there has been no usable set, or none for `KEPT`, or too many requests wait for one.
        """
        age = self._age()
        if age is None or age > 2 * FRESH:
            await self._wait()
        elif not self._has(kid):
            # A fetch that is under way may have begun before the issuer published the key.
            for _ in range(2 if self._fetching else 1):
                if not self._has(kid):
                    await self._wait()
        elif age > FRESH:
            _ = self._begin()
        age = self._age()
        if age is None or age > KEPT:
            raise NoKeysError
        return self._keys

    def _age(self) -> float | None:
        return None if self._good_at is None else self._now() - self._good_at

    def _has(self, kid: str) -> bool:
        return any(key.kid == kid for key in self._keys.keys)

    async def _wait(self) -> None:
        """Wait for the fetch that is under way, else for the next."""
        if self._waiting >= MOST_WAITING:
            raise NoKeysError
        self._waiting += 1
        try:
            # A request that is given up does not end the fetch: others wait for it.
            await asyncio.shield(self._begin())
        finally:
            self._waiting -= 1

    def _begin(self) -> "asyncio.Task[None]":
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._renew(), name="keys")
        return self._fetching

    async def _renew(self) -> None:
        try:
            if self._begun_at is not None:
                await asyncio.sleep(max(0.0, self._begun_at + PAUSE - self._now()))
            self._begun_at = self._now()
            async with asyncio.timeout(PATIENCE):
                document = await self._fetch()
            self._keys, self._good_at, self._told = read_keys(document, self._source), self._begun_at, ""
        except (httpx2.HTTPError, OSError, TimeoutError, UnusableSetError) as error:
            self._tell(f"{type(error).__name__}: {error}")
        finally:
            self._fetching = None

    def _tell(self, reason: str) -> None:
        if self._told != reason:
            self._told = reason
            log.error(
                "the keys of the issuer cannot be fetched; the last good keys stay in force", action="keys_kept",
                source=self._source, reason=reason, good_keys=self._good_at is not None,
            )  # fmt: skip


def fetch_from(url: str, client: httpx2.AsyncClient) -> Fetch:
    """Fetches of a document at a URL. They raise httpx2.HTTPError, or UnusableSetError for an answer that is no
    document of keys. Redirects are not followed: the address is the one that was set."""

    async def fetch() -> bytes:
        async with client.stream(
            "GET", url, headers={"Accept": "application/jwk-set+json, application/json"}
        ) as answer:
            if answer.status_code != httpx2.codes.OK:
                raise UnusableSetError(f"the answer has the status {answer.status_code}")
            document = bytearray()
            async for piece in answer.aiter_bytes():
                document += piece
                if len(document) > LARGEST:
                    raise UnusableSetError(f"the answer has more than {LARGEST} bytes")
            return bytes(document)

    return fetch


def keys_of(settings: ServiceSettings) -> Keys:
    """Where the settings say that the keys of tokens are."""
    if settings.jwks_file is not None:
        return KeyFile(settings.jwks_file)
    if settings.jwks_url is None:
        raise LookupError("the settings name no keys")
    return KeyUrl(fetch_from(settings.jwks_url, httpx2.AsyncClient(timeout=PATIENCE)), settings.jwks_url)
