"""A stand of intake for each test."""

from collections.abc import AsyncIterator

import pytest

from chfw_common.runtime.service import Service
from chfw_instruction.service import build
from chfw_instruction.settings import Settings
from tests.support.databases import Databases
from tests.support.serving import Stand, standing
from tests.support.settings import nowhere


@pytest.fixture
async def stand(databases: Databases) -> AsyncIterator[Stand]:
    """Intake that knows nothing yet."""
    async with standing(databases, "chfw", databases.install, _build) as ready:
        yield ready


def _build(dsn: str) -> Service:
    return build(Settings(**nowhere(dsn)))
