"""Waves as notices and decisions state them; stores keep them in the same shape."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any

from pydantic import AfterValidator, TypeAdapter

from chfw_common.kernel.ids import LONGEST_NAME
from chfw_common.kernel.instants import stated
from chfw_common.kernel.waves import SHARES, Wave


def _stated(wave: Wave) -> Wave:
    if not (0 <= wave.share_from <= SHARES and 0 <= wave.share_below <= SHARES):
        raise ValueError(f"shares lie between 0 and {SHARES}")
    if max(map(len, (wave.name, *wave.regions))) > LONGEST_NAME:
        raise ValueError(f"the name of a wave or of a region has more than {LONGEST_NAME} characters")
    return replace(wave, opens=stated(wave.opens), automatic_date=stated(wave.automatic_date))


StatedWaves = tuple[Annotated[Wave, AfterValidator(_stated)], ...]
"""Waves in an event, within the bounds of its other values, their instants in UTC."""
_WAVES: TypeAdapter[tuple[Wave, ...]] = TypeAdapter(StatedWaves)


def waves_to_json(waves: tuple[Wave, ...]) -> list[dict[str, Any]]:
    """Waves as a store keeps them."""
    return list(_WAVES.dump_python(waves, mode="json"))


def waves_from_json(stored: Iterable[dict[str, Any]]) -> tuple[Wave, ...]:
    """The waves of a stored document."""
    return _WAVES.validate_python(stored)
