"""Advisory locks by name. Postgres knows them by one number for the whole database, so the service is part of it."""

from hashlib import blake2b


def lock_key(service: str, what: str, name: str) -> int:
    """The signed 64-bit number of a named lock of a service."""
    digest = blake2b(f"{service}|{what}|{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
