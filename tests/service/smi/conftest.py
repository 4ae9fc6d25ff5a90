"""A transaction on a real Postgres with the inventory's schema in it, undone after each test."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from chfw_common.runtime.service import Tx
from tests.support.databases import undone


@pytest.fixture
async def tx(postgres_server: Any) -> AsyncIterator[Tx]:
    async with undone(postgres_server.admin_dsn, "smi") as open_tx:
        yield open_tx
