"""The service's own Postgres: one pool, transactions, JSON columns."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import orjson

from chfw_common.runtime.service import Tx
from chfw_common.topology import schema_of

CONNECT_TIMEOUT = 10.0
"""Seconds for one connection to be made: a host that swallows what is sent must not keep us from saying so."""


async def _prepare(connection: Tx) -> None:
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
    """Transactions of one service. Unqualified names mean its own schema."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool

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
    dsn: str, service: str, *, connections: int = 8, settings: dict[str, str] | None = None
) -> Database:
    """Connect as a service. Raises OSError or a Postgres error when the server is not there yet."""
    pool = await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=connections,
        init=_prepare,
        reset=_leave_as_is,
        timeout=CONNECT_TIMEOUT,
        server_settings={
            "search_path": schema_of(service),
            "application_name": f"chfw-{service}",
            "timezone": "UTC",
            "lock_timeout": "10s",
            "statement_timeout": "60s",
            **(settings or {}),
        },
    )
    return Database(pool)
