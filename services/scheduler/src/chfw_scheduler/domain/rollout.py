"""A release as the scheduler acts on it: its image, its terms, the decision in force, the settings of time."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import NamedTuple

from chfw_common.kernel.applicability import Image, Inapplicable, misfit
from chfw_common.kernel.codes import code
from chfw_common.kernel.hubs import DeviceStatus, Make
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import ENDS, Mode
from chfw_common.kernel.waves import Wave, wave_of
from chfw_scheduler.domain.facts import Inventory
from chfw_scheduler.domain.merge import Terms

_JUST_AFTER = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Pacing:
    """How long things may take (ARCHITECTURE section 6). Every value is a setting of the service."""

    automatic_lead: timedelta = timedelta(days=28)
    arming_window: timedelta = timedelta(hours=24)
    asap_lead: timedelta = timedelta(hours=1)
    permit_ttl: timedelta = timedelta(minutes=10)
    silent_after: timedelta = timedelta(hours=24)
    read_attempts: int = 3
    delivery_timeout: timedelta = timedelta(days=14)
    confirm_timeout: timedelta = timedelta(hours=24)
    retries: int = 3
    retry_after: timedelta = timedelta(days=1)
    refused_retry: timedelta = timedelta(minutes=10)
    cancel_retry: timedelta = timedelta(seconds=1)
    max_skew: timedelta = timedelta(seconds=5)


def forwarded_by(stored_at: Instant, pacing: Pacing, max_skew: timedelta, forward_within: timedelta) -> Instant:
    """From when on no command of before a halt is forwarded, whatever the edges have heard of the halt.

    The last permit was given before the halt was stored, by a clock that is at most `max_skew` ahead of ours. An edge
    whose clock is at most `max_skew` behind uses it no later, and has then forwarded within `forward_within`.
    """
    return stored_at + pacing.permit_ttl + 2 * max_skew + forward_within + _JUST_AFTER


@dataclass(frozen=True, slots=True)
class Decision:
    """The last decision in line; before the first, a release is at epoch 0, held.

    `mode_since` is when the mode became what it is. `min_epoch` is above `epoch` only while the release stands still.
    """

    epoch: int = 0
    min_epoch: int = 0
    mode: Mode = Mode.HELD
    mode_since: Instant | None = None


class Fit(NamedTuple):
    """Whether a hub runs the image already, and why the image may not be applied to it; None: it may."""

    runs_new: bool
    misfit: Inapplicable | None


def standing_still(decision: Decision) -> Decision:
    """The decision known, while a record out of line waits for a person: whatever was sent under it is to be called
    back, and nothing more is. The next decision in line has an epoch of its own."""
    return replace(decision, min_epoch=decision.epoch + 1)


@dataclass(frozen=True)
class Rollout:
    """One release. `terms` are those of the rest that is in no wave; `terms_of` gives those of a hub."""

    release_id: ReleaseId
    image: Image
    image_hash: str
    terms: Terms
    decision: Decision
    pacing: Pacing = field(default_factory=Pacing)
    cpl_active: bool = True
    cpl_active_since: Instant | None = None
    waves: tuple[Wave, ...] = ()

    def terms_of(self, hub: HubId, region: str) -> Terms:
        """What is laid down for a hub: its wave's dates, if it is in one."""
        wave = wave_of(self.waves, hub, region)
        return self.terms if wave is None else self._terms_by_wave[wave.name]

    @cached_property
    def _terms_by_wave(self) -> dict[str, Terms]:
        return {
            wave.name: self.terms._replace(automatic_date=wave.automatic_date, wave=wave.name, opens=wave.opens)
            for wave in self.waves
        }

    def misfit(self, inventory: Inventory) -> Inapplicable | None:
        """Why the image may not be applied to the hub as the inventory shows it; None: it may."""
        return self.fit(inventory).misfit

    def fit(self, inventory: Inventory) -> Fit:
        """The image compared with the hub as the inventory shows it.

        Kept for as long as the release is read once, because the hubs of a batch are alike.
        """
        alike = (inventory.make, inventory.status, inventory.firmware)
        known = self._compared.get(alike)
        if known is None:
            runs_new = code(inventory.firmware) == self.image.firmware and self.image.is_for(inventory.make)
            known = self._compared[alike] = Fit(runs_new, misfit(self.image, *alike))
        return known

    @cached_property
    def _compared(self) -> dict[tuple[Make, DeviceStatus, str], Fit]:
        return {}

    @property
    def may_claim(self) -> bool:
        """Whether anything may be distributed or armed. If the rest is overdue all is: no wave has a later D."""
        stands_still = self.decision.epoch < self.decision.min_epoch
        lets_go = self.cpl_active and not stands_still and self.decision.mode in {Mode.PILOT, Mode.RUN}
        return lets_go and not self.overdue(self.terms.automatic_date)

    def overdue(self, automatic_date: Instant) -> bool:
        """Whether hubs of this D were not let go before it: they go on with a new D only.

        Neither a mode nor a CPL entry that becomes Active at D or later lets them go (REQUIREMENTS, consent rules).
        """
        mode_since, active_since = self.decision.mode_since, self.cpl_active_since
        return (mode_since is not None and mode_since >= automatic_date) or (
            active_since is not None and active_since >= automatic_date
        )

    @property
    def ended(self) -> bool:
        """Stopped or revoked: nothing begins any more, and time makes no more facts of consent."""
        return self.decision.mode in ENDS

    @property
    def pilot_only(self) -> bool:
        """Whether only pilot hubs may be distributed to or armed."""
        return self.decision.mode is not Mode.RUN
