"""Waves as a notice and a decision take them, and as they are shown (R3-10)."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field

from chfw_common.kernel.instants import format_instant
from chfw_common.kernel.months import cut_off
from chfw_common.kernel.waves import MOST_REGIONS, MOST_WAVES, SHARES, Wave, WaveFault
from chfw_common.runtime.http.ids import InstantText
from chfw_common.runtime.http.shapes import REGION_LENGTH, Shape, Words

Name = Annotated[str, Words(40)]
Share = Annotated[int, Field(ge=0, le=SHARES, strict=True)]


class WaveBody(Shape):
    """A wave. No regions are all regions; shares are in parts of ten thousand."""

    name: Name
    opens: InstantText
    automatic_date: InstantText
    regions: Annotated[tuple[Annotated[str, Words(REGION_LENGTH)], ...], Field(max_length=200)] = ()
    share_from: Share = 0
    share_below: Share = SHARES

    @property
    def wave(self) -> Wave:
        """The wave it states."""
        return Wave(**dict(self))


def _few_regions(waves: tuple[WaveBody, ...]) -> tuple[WaveBody, ...]:
    named = sum(len(wave.regions) for wave in waves)
    if named > MOST_REGIONS:
        raise ValueError(f"the waves name {named} regions in all, {MOST_REGIONS} are the most")
    return waves


WaveBodies = Annotated[tuple[WaveBody, ...], Field(max_length=MOST_WAVES), AfterValidator(_few_regions)]
"""Waves in a request. They stand in one event with all their regions, so their number is bounded as a whole too."""


class WaveView(Shape):
    """A wave, and until when its hubs can be instructed. For the document: it is not checked at run time."""

    name: str
    regions: list[str]
    share_from: int
    share_below: int
    opens: AwareDatetime
    automatic_date: AwareDatetime
    cut_off: AwareDatetime


FAULTS: dict[StrEnum, str] = {
    WaveFault.SAME_NAME: "Two waves have the same name.",
    WaveFault.TAKES_NOTHING: "A wave takes no share: `share_from` must be less than `share_below`.",
    WaveFault.ORDER: "A wave must open before its own `automatic_date`.",
    WaveFault.AFTER_DATE: "No wave may have a later `automatic_date` than the release: state the waves anew.",
    WaveFault.NO_SOAK: "A wave opens too soon after the `automatic_date` of the wave before it.",
}
"""What is said of a list of waves that is refused."""


def show_waves(waves: Iterable[Wave]) -> list[dict[str, Any]]:
    """Waves as everybody sees them."""
    return [
        {
            "name": wave.name,
            "regions": list(wave.regions),
            "share_from": wave.share_from,
            "share_below": wave.share_below,
            "opens": format_instant(wave.opens),
            "automatic_date": format_instant(wave.automatic_date),
            "cut_off": format_instant(cut_off(wave.automatic_date)),
        }
        for wave in waves
    ]
