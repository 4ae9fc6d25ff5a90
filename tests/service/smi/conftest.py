"""A transaction on a real Postgres with the inventory's schema in it, undone after each test."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from chfw_common.runtime.migrations import migrate
from chfw_common.runtime.service import Tx


@pytest.fixture
async def tx(postgres_server: Any) -> AsyncIterator[Tx]:
    connection = await asyncpg.connect(postgres_server.admin_dsn, server_settings={"timezone": "UTC"})
    transaction = connection.transaction()
    await transaction.start()
    try:
        await migrate(connection, "smi")
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()
