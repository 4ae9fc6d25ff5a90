"""A stand of the notifier for each test, with the inventory and the ledger whose views it reads."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from chfw_common.runtime.database import open_database
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.migrations import migrate
from chfw_common.runtime.service import Tx
from chfw_common.runtime.ticks import TickRunner
from chfw_notifier.service import NAME, build
from chfw_notifier.settings import Settings
from tests.service.instruction.stand import NOW, Stand, StoryClock, app_of
from tests.support.databases import Databases


async def install(tx: Tx, _database: str) -> None:
    """The schema of the notifier, and those whose views it reads."""
    for service in ("smi", "scheduler", NAME):
        await migrate(tx, service)


@pytest.fixture
async def stand(databases: Databases) -> AsyncIterator[Stand]:
    """A notifier that knows nobody yet."""
    dsn = databases.clone("telling", install)
    database = await open_database(dsn, NAME)
    service = build(Settings(database_dsn=dsn, kafka_bootstrap="none:0", jwks_file=Path("none")))
    clock, metrics = StoryClock(NOW), Metrics(NAME, service.consumes)
    transport = httpx2.ASGITransport(app_of(service, database, clock, metrics))
    async with httpx2.AsyncClient(transport=transport, base_url="http://notifier") as client:
        yield Stand(service, database, clock, client, TickRunner(service, database, metrics))
    await database.close()
    databases.drop(dsn)
