"""A stand of intake for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from chfw_common.runtime.database import open_database
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.ticks import TickRunner
from chfw_instruction.service import NAME, build
from chfw_instruction.settings import Settings
from tests.service.instruction.stand import NOW, Stand, StoryClock, app_of, install
from tests.support.databases import Databases


@pytest.fixture
async def stand(databases: Databases) -> AsyncIterator[Stand]:
    """Intake that knows nothing yet."""
    dsn = databases.clone("intake", install)
    database = await open_database(dsn, NAME)
    service = build(Settings(database_dsn=dsn, kafka_bootstrap="none:0", jwks_file=Path("none")))
    clock, metrics = StoryClock(NOW), Metrics(NAME, service.consumes)
    transport = httpx2.ASGITransport(app_of(service, database, clock, metrics))
    async with httpx2.AsyncClient(transport=transport, base_url="http://intake") as client:
        yield Stand(service, database, clock, client, TickRunner(service, database, metrics))
    await database.close()
    databases.drop(dsn)
