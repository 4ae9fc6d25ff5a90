"""Waves as notices and decisions state them; stores keep them in the same shape."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from chfw_common.events.base import Part, UtcInstant
from chfw_common.kernel.waves import SHARES, Wave


class StatedWave(Part):
    """A wave (`chfw_common.kernel.waves.Wave`)."""

    name: str
    opens: UtcInstant
    automatic_date: UtcInstant
    regions: tuple[str, ...] = ()
    share_from: int = 0
    share_below: int = SHARES


def stated(waves: Iterable[Wave]) -> tuple[StatedWave, ...]:
    """Waves as an event says them."""
    return tuple(StatedWave(**asdict(wave)) for wave in waves)


def waves_of(parts: Iterable[StatedWave]) -> tuple[Wave, ...]:
    """What an event says, as waves."""
    return tuple(Wave(**dict(part)) for part in parts)


def waves_to_json(waves: Iterable[Wave]) -> list[dict[str, Any]]:
    """Waves as a store keeps them."""
    return [part.model_dump(mode="json") for part in stated(waves)]


def waves_from_json(stored: Iterable[dict[str, Any]]) -> tuple[Wave, ...]:
    """The waves of a stored document."""
    return waves_of(map(StatedWave.model_validate, stored))
