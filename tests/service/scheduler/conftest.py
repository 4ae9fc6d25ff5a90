"""A stand of the scheduler for each test."""

from collections.abc import AsyncIterator

import pytest

from chfw_common.runtime.database import open_database
from tests.service.scheduler.stand import Stand


@pytest.fixture
async def stand(chfw_dsn: str) -> AsyncIterator[Stand]:
    """A scheduler that knows nothing yet."""
    made = Stand(await open_database(chfw_dsn, "scheduler"))
    yield made
    await made.database.close()
