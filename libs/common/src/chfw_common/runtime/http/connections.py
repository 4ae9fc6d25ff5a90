"""The connections of one listener: how many there may be, and which of them gives way to a new one."""

from collections import Counter
from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Protocol

_NETWORK = 64
"""Bits of an IPv6 address that name the client: it chooses the others as it likes (RFC 4291)."""


class Connection(Protocol):
    """What is counted."""

    def end(self) -> None:
        """Close it at once."""


class Connections:
    """Those that are open, by the address they come from.

    One that waits, idle or for the rest of a head, gives way to a new one; one with a request under way does not.
    """

    def __init__(self, most: int, per_address: int) -> None:
        self._most = most
        self._per_address = per_address
        self._open: dict[Connection, str] = {}
        self._from: Counter[str] = Counter()
        # In the order in which they began to wait.
        self._waiting: dict[Connection, None] = {}

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def all(self) -> Sequence[Connection]:
        """Those that are open."""
        return list(self._open)

    def admit(self, connection: Connection, host: str) -> bool:
        """Count a new one, which waits; False when there is no room for it."""
        client = client_of(host)
        if self._from[client] >= self._per_address:
            return False
        if len(self._open) >= self._most:
            oldest = next(iter(self._waiting), None)
            if oldest is None:
                return False
            self.gone(oldest)
            oldest.end()
        self._open[connection] = client
        self._from[client] += 1
        self._waiting[connection] = None
        return True

    def waits(self, connection: Connection) -> None:
        """No request of it is under way."""
        if connection in self._open:
            self._waiting.setdefault(connection)

    def works(self, connection: Connection) -> None:
        """A request of it is under way."""
        self._waiting.pop(connection, None)

    def gone(self, connection: Connection) -> None:
        """It is closed, or about to be."""
        self._waiting.pop(connection, None)
        client = self._open.pop(connection, None)
        if client is not None:
            self._from[client] -= 1
            if not self._from[client]:
                del self._from[client]


def client_of(host: str) -> str:
    """What counts as one address: an IPv4 address, or the network of an IPv6 one."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    return str(address.ipv4_mapped or IPv6Network((int(address) >> _NETWORK << _NETWORK, _NETWORK)))
