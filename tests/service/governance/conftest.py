"""A stand of governance for each test."""

from collections.abc import AsyncIterator

import pytest

from chfw_common.runtime.migrations import migrate
from chfw_common.runtime.service import Service, Tx
from chfw_governance.service import NAME, build
from chfw_governance.settings import Settings
from tests.support.databases import Databases
from tests.support.serving import Stand, standing
from tests.support.settings import nowhere


async def install(tx: Tx, _database: str) -> None:
    """The schema of governance, and the ledger it looks into."""
    for service in ("scheduler", NAME):
        await migrate(tx, service)


@pytest.fixture
async def stand(databases: Databases) -> AsyncIterator[Stand]:
    """Governance that knows nothing yet."""
    async with standing(databases, "deciding", install, _build) as ready:
        yield ready


def _build(dsn: str) -> Service:
    return build(Settings(**nowhere(dsn)))
