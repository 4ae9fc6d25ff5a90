"""A stand of intake for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chfw_common.runtime.service import Service
from chfw_instruction.service import build
from chfw_instruction.settings import Settings
from tests.service.instruction.stand import Stand, install, standing
from tests.support.databases import Databases


@pytest.fixture
async def stand(databases: Databases) -> AsyncIterator[Stand]:
    """Intake that knows nothing yet."""
    async with standing(databases, "intake", install, _build) as ready:
        yield ready


def _build(dsn: str) -> Service:
    return build(Settings(database_dsn=dsn, kafka_bootstrap="none:0", jwks_file=Path("none")))
