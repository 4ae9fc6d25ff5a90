"""What the DCC may decide next about a release, and what the decision then says (R5-3 to R5-5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from chfw_common.kernel.instants import Instant
from chfw_common.kernel.months import latest_automatic_date
from chfw_common.kernel.rollout import ENDS, HALTS, Mode
from chfw_common.kernel.waves import SOAK, Wave, WaveFault, fault_in, may_delay


class Refusal(StrEnum):
    """Why a decision is refused; nothing changes."""

    EPOCH_MOVED = "epoch_moved"
    RELEASE_ENDED = "release_ended"
    CPL_NOT_ACTIVE = "cpl_not_active"
    PILOT_FIRST = "pilot_first"
    PILOT_UNTRIED = "pilot_untried"
    PILOT_TRIED = "pilot_tried"
    TRANSITION_REFUSED = "transition_refused"
    NOTHING_CHANGES = "nothing_changes"
    CONFIRMATION_REQUIRED = "confirmation_required"
    DATE_IN_PAST = "date_in_past"
    DATE_TOO_LATE = "date_too_late"
    NEW_DATE_REQUIRED = "new_date_required"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a release stands. `paused_from` is the mode that a pause, or a hold because of the CPL, interrupted;
    `confirmed` is that of the last decision; `mode_since` is when the mode became what it is.

    Epoch 0 is the announcement: held, at the dates of the notice.
    """

    epoch: int
    min_epoch: int
    mode: Mode
    mode_since: Instant
    automatic_date: Instant
    waves: tuple[Wave, ...] = ()
    paused_from: Mode | None = None
    confirmed: bool = False
    cpl_active: bool = True


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the DCC wants. No `automatic_date`, no `waves`: they stay; waves are stated all or none.

    `confirmed_by` names the Panel or Sub-Committee (R5-4). `without_pilot` is the reason to run although no hub of the
    pilot has come to an end.
    """

    mode: Mode
    reason: str
    automatic_date: Instant | None = None
    waves: tuple[Wave, ...] | None = None
    confirmed_by: str | None = None
    without_pilot: str | None = None
    expected_epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """The decision: the next place in the release's line of epochs."""

    epoch: int
    min_epoch: int
    mode: Mode
    mode_since: Instant
    automatic_date: Instant
    waves: tuple[Wave, ...]
    reason: str
    confirmed_by: str | None
    without_pilot: str | None
    paused_from: Mode | None
    cpl_active: bool

    @property
    def standing(self) -> Standing:
        """Where the release stands once this is decided."""
        return Standing(
            self.epoch,
            self.min_epoch,
            self.mode,
            self.mode_since,
            self.automatic_date,
            self.waves,
            self.paused_from,
            confirmed=self.confirmed_by is not None,
            cpl_active=self.cpl_active,
        )


_ALWAYS = frozenset({Mode.PAUSE, Mode.STOP, Mode.REVOKED})
_NEXT: dict[Mode, frozenset[Mode]] = {
    Mode.HELD: _ALWAYS | {Mode.HELD, Mode.PILOT},
    Mode.PILOT: _ALWAYS | {Mode.PILOT, Mode.HELD, Mode.RUN},
    Mode.RUN: _ALWAYS | {Mode.RUN, Mode.HELD},
    Mode.STOP: frozenset(),
    Mode.REVOKED: frozenset(),
}
"""Which mode may follow which. After a pause, or a hold because of the CPL, what may follow the mode that it
interrupted."""

_ACTIVE = frozenset({Mode.PILOT, Mode.RUN})


@dataclass(frozen=True, slots=True)
class Notice:
    """How long things must be known before. Every value is a setting of the service.

    `resume`: from a decision to go on after D to the new D. `soak`: from D of a wave to the opening of the next.
    """

    resume: timedelta = timedelta(days=7)
    soak: timedelta = SOAK


def ends_pilot(standing: Standing, proposal: Proposal) -> bool:
    """Whether the release would go from its pilot to everybody, also by way of a pause."""
    return proposal.mode is Mode.RUN and _interrupted(standing) is Mode.PILOT


def decide(
    standing: Standing, proposal: Proposal, now: Instant, notice: Notice, *, pilot_tried: bool
) -> Decided | Refusal | WaveFault:
    """The decision a proposal leads to, or the first reason against it.

    `pilot_tried`: whether a hub of the pilot has come to an end; it matters where the decision ends the pilot.
    """
    refusal = (
        _refuse_order(standing, proposal)
        or _refuse_pilot(standing, proposal, pilot_tried=pilot_tried)
        or _refuse_date(standing, proposal, now, notice.resume)
        or _refuse_waves(standing, proposal, now, notice.soak)
        or _refuse_unconfirmed(standing, proposal)
    )
    if refusal is not None:
        return refusal
    epoch = standing.epoch + 1
    return Decided(
        epoch=epoch,
        min_epoch=epoch if _halts(standing, proposal) else standing.min_epoch,
        mode=proposal.mode,
        mode_since=standing.mode_since if proposal.mode is standing.mode else now,
        automatic_date=_date(standing, proposal),
        waves=_waves(standing, proposal),
        reason=proposal.reason,
        confirmed_by=proposal.confirmed_by,
        without_pilot=proposal.without_pilot,
        paused_from=_keeps(standing, proposal.mode),
        cpl_active=standing.cpl_active,
    )


def hold_for_cpl(standing: Standing, state: str, now: Instant) -> Decided | None:
    """The decision that a CPL entry which is not Active leads to by itself: what may go is held (R1).

    None: nothing may go, so nothing is left to halt. Once the entry is Active again, the DCC decides to go on.
    """
    if standing.cpl_active or standing.mode not in _ACTIVE:
        return None
    epoch = standing.epoch + 1
    return Decided(
        epoch=epoch,
        min_epoch=epoch,
        mode=Mode.HELD,
        mode_since=now,
        automatic_date=standing.automatic_date,
        waves=standing.waves,
        reason=f"The CPL entry is {state}.",
        confirmed_by=None,
        without_pilot=None,
        paused_from=standing.mode,
        cpl_active=False,
    )


def _refuse_order(standing: Standing, proposal: Proposal) -> Refusal | None:
    if proposal.expected_epoch is not None and proposal.expected_epoch != standing.epoch:
        return Refusal.EPOCH_MOVED
    if standing.mode in ENDS:
        return Refusal.RELEASE_ENDED
    if proposal.mode in _ACTIVE and not standing.cpl_active:
        return Refusal.CPL_NOT_ACTIVE
    before = _interrupted(standing)
    if before is Mode.HELD and proposal.mode is Mode.RUN:
        return Refusal.PILOT_FIRST
    if proposal.mode not in _NEXT[before]:
        return Refusal.TRANSITION_REFUSED
    if proposal.mode is standing.mode and not _moves_date(standing, proposal) and not _confirms(standing, proposal):
        return Refusal.NOTHING_CHANGES
    return None


def _refuse_pilot(standing: Standing, proposal: Proposal, *, pilot_tried: bool) -> Refusal | None:
    """A pilot that has shown nothing is followed by a run only for a reason, which everybody is told (R2-0, R2-7)."""
    untried = ends_pilot(standing, proposal) and not pilot_tried
    if untried and proposal.without_pilot is None:
        return Refusal.PILOT_UNTRIED
    if not untried and proposal.without_pilot is not None:
        return Refusal.PILOT_TRIED
    return None


def _refuse_date(standing: Standing, proposal: Proposal, now: Instant, resume_notice: timedelta) -> Refusal | None:
    before = _dates(standing.automatic_date, standing.waves)
    after = _dates(_date(standing, proposal), _waves(standing, proposal))
    moved = after.items() - before.items()
    if any(when <= now for _, when in moved):
        return Refusal.DATE_IN_PAST
    if _delays(standing, proposal) and any(when > latest_automatic_date(now) for _, when in moved):
        return Refusal.DATE_TOO_LATE
    if proposal.mode not in _ACTIVE or proposal.mode is standing.mode:
        return None
    overdue = {group for group, when in before.items() if when <= now}
    if any(when < now + resume_notice for group, when in after.items() if group in overdue):
        return Refusal.NEW_DATE_REQUIRED
    return None


def _dates(automatic_date: Instant, waves: Sequence[Wave]) -> dict[str | None, Instant]:
    """D of each wave by its name, and of the rest."""
    return {None: automatic_date, **{wave.name: wave.automatic_date for wave in waves}}


def _refuse_waves(standing: Standing, proposal: Proposal, now: Instant, soak: timedelta) -> WaveFault | None:
    """A date of the release that is brought forward may lie before that of a wave: then the waves are stated anew."""
    if not _moves_date(standing, proposal):
        return None
    return fault_in(_waves(standing, proposal), _date(standing, proposal), soak=soak, now=now)


def _date(standing: Standing, proposal: Proposal) -> Instant:
    return proposal.automatic_date or standing.automatic_date


def _waves(standing: Standing, proposal: Proposal) -> tuple[Wave, ...]:
    return standing.waves if proposal.waves is None else proposal.waves


def _refuse_unconfirmed(standing: Standing, proposal: Proposal) -> Refusal | None:
    """Stop, delay and going on after a pause need the Panel; a pause may come first and be confirmed later."""
    proceeds = standing.mode is Mode.PAUSE and proposal.mode in _ACTIVE
    needed = proposal.mode is Mode.STOP or proceeds or _delays(standing, proposal)
    return Refusal.CONFIRMATION_REQUIRED if needed and proposal.confirmed_by is None else None


def _halts(standing: Standing, proposal: Proposal) -> bool:
    """Whether nothing older may be forwarded any more: a change to a halting mode, or a hub may have to wait longer."""
    return (proposal.mode in HALTS and proposal.mode is not standing.mode) or _delays(standing, proposal)


def _interrupted(standing: Standing) -> Mode:
    """The mode that counts for what may follow: while paused, or held because of the CPL, that before."""
    return standing.mode if standing.paused_from is None else standing.paused_from


def _keeps(standing: Standing, mode: Mode) -> Mode | None:
    """The interrupted mode that a decision for this mode leaves the release with: a hold that goes on forgets none."""
    if mode is Mode.PAUSE:
        return _interrupted(standing)
    return standing.paused_from if mode is Mode.HELD and standing.mode is Mode.HELD else None


def _moves_date(standing: Standing, proposal: Proposal) -> bool:
    """Whether D or a wave changes."""
    before = (standing.automatic_date, standing.waves)
    return (_date(standing, proposal), _waves(standing, proposal)) != before


def _delays(standing: Standing, proposal: Proposal) -> bool:
    """Whether D is later than it was, for the rest or perhaps for a hub of a wave."""
    later = _date(standing, proposal) > standing.automatic_date
    return later or may_delay(standing.waves, _waves(standing, proposal))


def _confirms(standing: Standing, proposal: Proposal) -> bool:
    """Whether this confirms an emergency suspension (R5-5)."""
    return proposal.mode is Mode.PAUSE and not standing.confirmed and proposal.confirmed_by is not None
