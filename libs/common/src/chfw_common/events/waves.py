"""Waves as notices and decisions state them; stores keep them in the same shape."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any

from pydantic import AfterValidator, TypeAdapter

from chfw_common.kernel.instants import require_utc
from chfw_common.kernel.waves import Wave


def _in_utc(wave: Wave) -> Wave:
    return replace(wave, opens=require_utc(wave.opens), automatic_date=require_utc(wave.automatic_date))


StatedWaves = tuple[Annotated[Wave, AfterValidator(_in_utc)], ...]
"""Waves in an event, their instants in UTC."""
_WAVES: TypeAdapter[tuple[Wave, ...]] = TypeAdapter(StatedWaves)


def waves_to_json(waves: tuple[Wave, ...]) -> list[dict[str, Any]]:
    """Waves as a store keeps them."""
    return list(_WAVES.dump_python(waves, mode="json"))


def waves_from_json(stored: Iterable[dict[str, Any]]) -> tuple[Wave, ...]:
    """The waves of a stored document."""
    return _WAVES.validate_python(stored)
