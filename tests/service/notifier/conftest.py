"""A stand of the notifier for each test, with the inventory and the ledger whose views it reads."""

from collections.abc import AsyncIterator

import pytest

from chfw_common.runtime.migrations import migrate
from chfw_common.runtime.service import Service, Tx
from chfw_notifier.service import NAME, build
from chfw_notifier.settings import Settings
from tests.support.databases import Databases
from tests.support.serving import Stand, standing
from tests.support.settings import nowhere


async def install(tx: Tx, _database: str) -> None:
    """The schema of the notifier, and those whose views it reads."""
    for service in ("smi", "scheduler", "instruction", NAME):
        await migrate(tx, service)


@pytest.fixture
async def stand(databases: Databases) -> AsyncIterator[Stand]:
    """A notifier that knows nobody yet."""
    async with standing(databases, "telling", install, _build) as ready:
        yield ready


def _build(dsn: str) -> Service:
    return build(Settings(**nowhere(dsn)))
