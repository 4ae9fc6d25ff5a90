"""The public keys that tokens are verified with (RFC 7517), and a file of them that an issuer replaces at any time.

A key that cannot be used here is ignored. A file that cannot be used as a whole leaves the last good set in force.
Both are logged, once for each state of the file (ADR 0045).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

log = structlog.get_logger()

ALGORITHM = "ES256"
"""The only one that is taken: ECDSA over P-256 with SHA-256 (RFC 7518, 3.4)."""
LONGEST_KID = 200
"""Characters of a key's id."""
_NEEDED = {"kty": "EC", "crv": "P-256"}
_IF_STATED = {"use": "sig", "alg": ALGORITHM}

Stamp = tuple[int, int, int]
"""What changes when a file changes: its modification time in ns, its size, its inode."""


class NoKeysError(Exception):
    """No usable set of keys has been read since the process began."""


class Keys(Protocol):
    """Where the keys of the issuer are."""

    async def keys_for(self, kid: str) -> KeySet:
        """The keys in force, with the key of this id if the issuer has published it. Raises NoKeysError while there has
        been no usable set."""
        ...


class UnusableKeyError(ValueError):
    """A key that cannot verify a token here; the text says why."""


class UnusableSetError(ValueError):
    """A file from which no set of keys can be made; the text says why."""


class KeyFile:
    """The keys of a JWKS file. The file is looked at for each token and read again when it has changed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._keys: KeySet | None = None
        self._read: Stamp | None = None
        self._told: tuple[Stamp | None, str] | None = None

    async def keys_for(self, kid: str) -> KeySet:  # noqa: ARG002 - a file is looked at in any case
        """The last good set. Raises NoKeysError while there has not been one."""
        stamp: Stamp | None = None
        try:
            stamp = _stamp(self._file)
            if self._keys is None or stamp != self._read:
                self._keys, self._read = self._load(), stamp
        except (OSError, UnusableSetError) as error:
            # Not marked as read: a file that is written in place is whole a moment later.
            self._tell(stamp, str(error))
        if self._keys is None:
            raise NoKeysError
        return self._keys

    def _load(self) -> KeySet:
        return read_keys(self._file.read_bytes(), str(self._file))

    def _tell(self, stamp: Stamp | None, reason: str) -> None:
        if self._told == (stamp, reason):
            return
        self._told = (stamp, reason)
        log.error(
            "the key file cannot be used; the last good keys stay in force", action="keys_kept",
            source=str(self._file), reason=reason, good_keys=self._keys is not None,
        )  # fmt: skip


def read_keys(document: bytes, source: str) -> KeySet:
    """The usable keys of a JWKS document, those that are ignored being logged. Raises UnusableSetError."""
    keys: dict[str, ECKey] = {}
    ignored: list[str] = []
    for place, stated in enumerate(_keys_of(document)):
        try:
            key = usable(stated)
            if str(key.kid) in keys:
                raise UnusableKeyError("its `kid` is that of a key before it")
            keys[str(key.kid)] = key
        except UnusableKeyError as error:
            ignored.append(f"key {place}: {error}")
    if ignored and not keys:
        raise UnusableSetError(f"none of its keys can be used ({'; '.join(ignored)})")
    if ignored:
        log.warning("keys are ignored", action="keys_ignored", source=source, reasons=ignored)
    log.info("the keys were read", action="keys_read", source=source, usable=len(keys))
    return KeySet([*keys.values()])


def usable(stated: object) -> ECKey:
    """The key, if tokens can be verified with it. Raises UnusableKeyError."""
    if not isinstance(stated, dict):
        raise UnusableKeyError("not a JSON object")
    for name, value in _NEEDED.items():
        if stated.get(name) != value:
            raise UnusableKeyError(f"`{name}` is not {value}")
    for name, value in _IF_STATED.items():
        if stated.get(name, value) != value:
            raise UnusableKeyError(f"`{name}` is not {value}")
    kid = stated.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= LONGEST_KID:
        raise UnusableKeyError(f"`kid` is not a text of 1 to {LONGEST_KID} characters")
    operations = stated.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKeyError("`key_ops` does not contain verify")
    return _imported(stated)


def _imported(stated: Mapping[str, Any]) -> ECKey:
    # Only what verification needs: a private part that was published by mistake is not taken in.
    public = {name: stated[name] for name in ("kty", "crv", "x", "y", "kid", "use", "alg") if name in stated}
    try:
        key = ECKey.import_key(public)
        # The library makes the point of the curve only when it is used.
        _ = key.public_key
    except (JoseError, ValueError, TypeError) as error:
        raise UnusableKeyError("`x` and `y` are not a point of P-256") from error
    return key


def _keys_of(text: bytes) -> list[object]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnusableSetError("it is not JSON") from error
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise UnusableSetError("it is not an object with a list `keys`")
    return keys


def _stamp(file: Path) -> Stamp:
    found = file.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino
