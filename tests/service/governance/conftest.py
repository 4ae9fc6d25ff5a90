"""A stand of governance for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from chfw_common.runtime.database import open_database
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.migrations import migrate
from chfw_common.runtime.service import Tx
from chfw_common.runtime.ticks import TickRunner
from chfw_governance.service import NAME, build
from chfw_governance.settings import Settings
from tests.service.instruction.stand import NOW, Stand, StoryClock, app_of
from tests.support.databases import Databases


async def install(tx: Tx, _database: str) -> None:
    """The schema of governance."""
    await migrate(tx, NAME)


@pytest.fixture
async def stand(databases: Databases) -> AsyncIterator[Stand]:
    """Governance that knows nothing yet."""
    dsn = databases.clone("deciding", install)
    database = await open_database(dsn, NAME)
    service = build(Settings(database_dsn=dsn, kafka_bootstrap="none:0", jwks_file=Path("none")))
    clock, metrics = StoryClock(NOW), Metrics(NAME, service.consumes)
    transport = httpx2.ASGITransport(app_of(service, database, clock, metrics))
    async with httpx2.AsyncClient(transport=transport, base_url="http://governance") as client:
        yield Stand(service, database, clock, client, TickRunner(service, database, metrics))
    await database.close()
    databases.drop(dsn)
