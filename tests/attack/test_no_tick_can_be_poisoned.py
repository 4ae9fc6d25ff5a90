"""Work that fails again and again can be set aside, whichever tick of whichever service it belongs to."""

import pytest

from chfw_common.topology import SERVICES
from tests.service.documents.stand import composed


@pytest.mark.parametrize("service", SERVICES)
def test_every_tick_can_be_done_piece_by_piece(service: str) -> None:
    assert [tick.name for tick in composed(service).ticks if tick.pieces is None] == []


def test_there_are_ticks() -> None:
    assert sum(len(composed(service).ticks) for service in SERVICES) > len(SERVICES)
