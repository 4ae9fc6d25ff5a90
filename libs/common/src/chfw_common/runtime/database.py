"""The service's own Postgres: one pool, transactions, JSON columns."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import asyncpg
import orjson

from chfw_common.runtime.access import party_role_of
from chfw_common.runtime.passwords import read_secret
from chfw_common.runtime.service import Tx
from chfw_common.topology import schema_of

CONNECT_TIMEOUT = 10.0
"""Seconds for one connection to be made: a host that swallows what is sent must not keep us from saying so."""
ANSWER_TIMEOUT = 75.0
"""Seconds after which a statement without an answer counts as lost: longer than Postgres itself lets one take."""

LIMITS: Mapping[str, str] = MappingProxyType(
    {
        # A process that is frozen, or cut off, in a transaction holds its locks no longer than this.
        "idle_in_transaction_session_timeout": "4s",
        "lock_timeout": "10s",
        "statement_timeout": "60s",
        # Postgres notices within 4 s that a client is gone that it sends to, or for whom it waits for a lock.
        "tcp_user_timeout": "4s",
        "tcp_keepalives_idle": "2",
        "tcp_keepalives_interval": "1",
        "tcp_keepalives_count": "2",
        "client_connection_check_interval": "2s",
    }
)
"""What a session of a service may do, by its role and again by the session itself (docs/architecture.md)."""


async def prepare(connection: Tx) -> None:
    """Let a connection take and give JSON as values."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS),
        decoder=lambda data: orjson.loads(bytes(data)[1:]),
    )


async def _leave_as_is(connection: Tx) -> None:
    """Nothing to reset: sessions hold no locks, cursors or settings beyond a transaction, and a round trip is saved."""


class Database:
    """Transactions of one service. Unqualified names mean its own schema.

    `party_role` is the role that its sessions may take for a request of a Party.
    """

    def __init__(self, pool: Any, service: str) -> None:
        self.pool = pool
        self.service = service
        self.party_role = party_role_of(service)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """One read-committed transaction: committed at the end, rolled back when anything is raised."""
        async with self.pool.acquire() as connection, connection.transaction():
            yield connection

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[Tx]:
        """A connection for single reads whose answers need not belong together: no transaction, fewer round trips."""
        async with self.pool.acquire() as connection:
            yield connection

    async def close(self) -> None:
        """Give all connections back."""
        await self.pool.close()


async def open_database(
    dsn: str,
    service: str,
    *,
    password_file: Path | None = None,
    connections: int = 8,
    settings: Mapping[str, str] | None = None,
) -> Database:
    """Connect as a service. Raises OSError or a Postgres error when the server is not there yet.

    The password file is read for each new connection. Without one, `dsn` names a file of its own (`passfile`).
    """
    pool = await asyncpg.create_pool(
        dsn,
        password=None if password_file is None else _password(password_file),
        min_size=1,
        max_size=connections,
        init=prepare,
        reset=_leave_as_is,
        timeout=CONNECT_TIMEOUT,
        command_timeout=ANSWER_TIMEOUT,
        server_settings={
            "search_path": schema_of(service),
            "application_name": f"chfw-{service}",
            "timezone": "UTC",
            **LIMITS,
            **(settings or {}),
        },
    )
    return Database(pool, service)


def _password(file: Path) -> Callable[[], str]:
    return lambda: read_secret(file)
