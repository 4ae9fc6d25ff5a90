"""Signed checkpoints of a stream, in a file outside the database: who rewrites the log cannot rewrite them.

A line of the file is a JSON object; its signature (Ed25519) is over its other values. `number` counts the lines of a
file without gaps, `previous` is the digest of what the line before signs. A line that a crash has torn is written again
under its number, so a line that cannot be read is no fault as long as no number is missing.
"""

import base64
import binascii
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from chfw_common.kernel.instants import Instant, format_instant, parse_instant
from chfw_common.runtime.audit.record import FORMAT, Head, compact

_PRIVATE = 0o600


class KeyFileError(Exception):
    """A key that cannot be used; the text says what to change."""


class CheckpointError(Exception):
    """Checkpoints that are not those which were written; the text names the line."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The record `seq` of a stream had this hash at that instant (machine time)."""

    stream: str
    number: int
    seq: int
    hash: bytes
    at: Instant
    previous: str

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        at = format_instant(self.at)
        content = [FORMAT, "checkpoint", self.stream, self.number, self.seq, self.hash.hex(), at, self.previous]
        return compact(content).encode("ascii")

    @property
    def digest(self) -> str:
        """What the next checkpoint of the file calls this one."""
        return sha256(self.signed).hexdigest()


def private_key(file: Path) -> Ed25519PrivateKey:
    """The key that signs (PEM, PKCS #8). Raises KeyFileError, also when others than its owner may read it."""
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & ~_PRIVATE:
            raise KeyFileError(f"{file} may be read by others: its mode is {mode:o}, {_PRIVATE:o} is needed")
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise KeyFileError(f"{file} holds no private key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{file} holds another key than one for Ed25519")
    return key


def public_key(file: Path) -> Ed25519PublicKey:
    """The key that verifies (PEM). Raises KeyFileError."""
    try:
        key = load_pem_public_key(file.read_bytes())
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{file} holds no public key: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{file} holds another key than one for Ed25519")
    return key


def read_checkpoints(file: Path, stream: str, key: Ed25519PublicKey) -> list[Checkpoint]:
    """The checkpoints of a file in their order; none when there is no file yet.

    Raises CheckpointError for one that is missing, of another stream, or not signed with the key.
    """
    found: list[Checkpoint] = []
    for place, line in enumerate(_lines(file), 1):
        read = _parse(line)
        if read is None:
            continue
        checkpoint, signature = read
        if checkpoint.stream != stream:
            raise CheckpointError(f"{file.name}, line {place}: it is of the stream {checkpoint.stream!a}")
        try:
            key.verify(signature, checkpoint.signed)
        except InvalidSignature as error:
            raise CheckpointError(f"{file.name}, line {place}: it is not signed with this key") from error
        last = found[-1].digest if found else ""
        if (checkpoint.number, checkpoint.previous) != (len(found) + 1, last):
            raise CheckpointError(f"{file.name}, line {place}: checkpoint {len(found) + 1} is missing before it")
        found.append(checkpoint)
    return found


class CheckpointFile:
    """Appends checkpoints of one stream to a file. Only one process writes a file."""

    def __init__(self, file: Path, stream: str, key: Ed25519PrivateKey) -> None:
        """Raises CheckpointError when the file is not what this key has written."""
        self.stream = stream
        self._file = file
        self._key = key
        known = read_checkpoints(file, stream, key.public_key())
        self.last: Checkpoint | None = known[-1] if known else None

    def append(self, head: Head, at: Instant) -> Checkpoint:
        """Sign where the stream ends, durably."""
        number, previous = (1, "") if self.last is None else (self.last.number + 1, self.last.digest)
        made = Checkpoint(self.stream, number, head.seq, head.hash, at, previous)
        line = {
            "stream": made.stream,
            "number": made.number,
            "seq": made.seq,
            "hash": made.hash.hex(),
            "at": format_instant(made.at),
            "previous": made.previous,
            "signature": base64.b64encode(self._key.sign(made.signed)).decode("ascii"),
        }
        self._write(compact(line).encode("ascii") + b"\n")
        self.last = made
        return made

    def _write(self, line: bytes) -> None:
        number = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND, _PRIVATE)
        try:
            size = os.fstat(number).st_size
            if size and os.pread(number, 1, size - 1) != b"\n":
                line = b"\n" + line
            os.write(number, line)
            os.fsync(number)
        finally:
            os.close(number)


def _lines(file: Path) -> Iterator[bytes]:
    try:
        yield from file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return


def _parse(line: bytes) -> tuple[Checkpoint, bytes] | None:
    """The checkpoint of a line and its signature; None for a line that is torn."""
    try:
        said = json.loads(line)
        checkpoint = Checkpoint(
            stream=str(said["stream"]),
            number=int(said["number"]),
            seq=int(said["seq"]),
            hash=bytes.fromhex(said["hash"]),
            at=parse_instant(said["at"]),
            previous=str(said["previous"]),
        )
        return checkpoint, base64.b64decode(said["signature"], validate=True)
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error, RecursionError):
        return None
