"""Choosing TCP ports on loopback that stay ours."""

import errno
import secrets
import socket
from collections.abc import Container

# Below the range from which the kernel takes the ports of outgoing connections (32768 and up on Linux). A port inside
# that range can be lost while its server is down: to any client, and even to a client that connects to itself.
_LOWEST = 20_000
_HIGHEST = 32_000
_TRIES = 200


class NoFreePortError(Exception):
    """No port between the two bounds could be bound."""


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now, on loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


def choose(taken: Container[int] = ()) -> int:
    """A port that is free now and not in `taken`; picked at random, so that neighbours rarely pick the same."""
    for _ in range(_TRIES):
        port = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST)
        if port not in taken and is_free(port):
            return port
    raise NoFreePortError(f"no free port found between {_LOWEST} and {_HIGHEST}")
