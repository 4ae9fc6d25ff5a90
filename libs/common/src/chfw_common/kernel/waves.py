"""Waves: the groups in which the DCC lets a release go, one after the other (R3-10, R5-1).

To which wave a hub belongs follows from its record alone, so whoever holds the record and the list of waves finds the
same: intake when it judges an entry, the scheduler when it plans.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise

from chfw_common.kernel.ids import HubId
from chfw_common.kernel.instants import Instant

SHARES = 10_000
"""Shares are counted in parts of this many."""
MOST_WAVES = 100
MOST_REGIONS = 500
"""The most regions that a list of waves may name in all."""
SOAK = timedelta(days=7)
"""How long a wave is watched before the next opens, unless a setting says otherwise."""


@dataclass(frozen=True, slots=True)
class Wave:
    """A group of hubs: those of some regions (of all when none is named) whose share lies from `share_from` up to, and
    without, `share_below`.

    `opens` is the earliest time at which one of them is activated, `automatic_date` their D.
    """

    name: str
    opens: Instant
    automatic_date: Instant
    regions: tuple[str, ...] = ()
    share_from: int = 0
    share_below: int = SHARES

    @property
    def whole(self) -> bool:
        """Whether it takes every hub of its regions."""
        return self.share_from <= 0 and self.share_below >= SHARES


class WaveFault(StrEnum):
    """What is wrong with a list of waves."""

    SAME_NAME = "wave_same_name"
    TAKES_NOTHING = "wave_takes_nothing"
    ORDER = "wave_order"
    AFTER_DATE = "wave_after_date"
    NO_SOAK = "wave_no_soak"


def share_of(hub: HubId) -> int:
    """The share a hub lies in, from 0 to 9,999: where the CRC-32 of its id lies among all that there are.

    Even within a partition and among neighbours; anybody can compute it.
    """
    return zlib.crc32(hub.to_bytes(8, signed=True)) * SHARES >> 32


def wave_of(waves: Sequence[Wave], hub: HubId, region: str) -> Wave | None:
    """The first wave that takes the hub; None: it goes with the rest, by the dates of the release."""
    share: int | None = None
    for wave in waves:
        if wave.regions and region not in wave.regions:
            continue
        if wave.whole:
            return wave
        if share is None:
            share = share_of(hub)
        if wave.share_from <= share < wave.share_below:
            return wave
    return None


def fault_in(waves: Sequence[Wave], automatic_date: Instant, *, soak: timedelta, now: Instant) -> WaveFault | None:
    """The first fault of a list of waves under a release's D.

    A wave opens before its own D, which is no later than that of the release. One that has yet to open leaves `soak`
    after D of the wave before it, so that a fault shows before the next hubs go; of one that is open nothing can be
    asked any more.
    """
    too_close = any(
        after.opens > now and after.opens - before.automatic_date < soak for before, after in pairwise(waves)
    )
    faults = {
        WaveFault.SAME_NAME: len({wave.name for wave in waves}) < len(waves),
        WaveFault.TAKES_NOTHING: any(not 0 <= wave.share_from < wave.share_below <= SHARES for wave in waves),
        WaveFault.ORDER: any(wave.opens >= wave.automatic_date for wave in waves),
        WaveFault.AFTER_DATE: any(wave.automatic_date > automatic_date for wave in waves),
        WaveFault.NO_SOAK: too_close,
    }
    return next((fault for fault, applies in faults.items() if applies), None)


def may_delay(before: Sequence[Wave], after: Sequence[Wave]) -> bool:
    """Whether a hub may have to wait longer under the second list: it may, unless the groups are the same and none of
    them opens later or has a later D."""
    groups = [
        [(wave.name, wave.regions, wave.share_from, wave.share_below) for wave in some] for some in (before, after)
    ]
    return groups[0] != groups[1] or any(
        later.opens > wave.opens or later.automatic_date > wave.automatic_date
        for wave, later in zip(before, after, strict=True)
    )
