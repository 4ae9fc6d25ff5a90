"""The service whose route a test is about."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.documents.stand import Published, publishing
from tests.support.databases import Databases


@pytest.fixture
async def published(databases: Databases, tmp_path: Path, service: str) -> AsyncIterator[Published]:
    """The service, on a database of its own."""
    async with publishing(databases, tmp_path, service) as ready:
        yield ready
