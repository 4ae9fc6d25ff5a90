"""Passwords: each in a file of its own, read when it is used, so a new file counts from the next connection on."""

import base64
import hashlib
import hmac
import stat
from pathlib import Path

from chfw_common.runtime.errors import TransientError

ITERATIONS = 4096
"""Rounds of SCRAM-SHA-256, as Postgres does it itself (RFC 7677 asks for no fewer)."""
_OTHERS = stat.S_IROTH | stat.S_IWOTH


class SecretError(TransientError):
    """A secret file is not there, holds nothing, or is open to every user. It names the file, never what is in it.

    A person can mend it while the service runs, so it is waited for like a server that is away.
    """


def read_secret(file: Path) -> str:
    """The one line of a secret file. Raises SecretError."""
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"{file}: the secret cannot be read: {type(error).__name__}") from error
    if mode & _OTHERS:
        raise SecretError(
            f"{file}: every user may read or write this secret; close it with chmod and change the secret"
        )
    if not text or len(text.splitlines()) != 1:
        raise SecretError(f"{file}: a secret is one line of text")
    return text


def scram_verifier(password: str, salt: bytes) -> str:
    """What Postgres keeps of an ASCII password (RFC 5803): a log of a statement with it does not show the password."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    client, server = (hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key"))
    stored = hashlib.sha256(client).digest()
    shown = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(ITERATIONS, *shown)
