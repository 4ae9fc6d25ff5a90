"""Totals of a release: how a row is counted, which CS06 are at risk, and when totals are told again.

A row is counted under one key, its state. The epoch of its CS06 stands behind the state while that CS06 may fire, so a
halt changes how many are at risk without touching a row.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import FINAL_STATES, HubState
from chfw_scheduler.domain.facts import Facts, Row, Shown

OUT: Final = frozenset({HubState.SUPERSEDED, HubState.DEPARTED, HubState.UNFIT})
"""States in which the hub takes no part in the release, if only at present: no CS06 from before must be carried out."""


CALLED_BACK: Final = -1
"""Stands for the epoch of a CS06 that was called back: older than every halt."""


class Totals(NamedTuple):
    """Hubs by state (they sum to the enrolled hubs), and how many have a CS06 that may fire and must not."""

    hubs: dict[HubState, int]
    at_risk: int

    @property
    def all_final(self) -> bool:
        """Whether there are hubs and all of them are in final states."""
        return bool(self.hubs) and self.hubs.keys() <= FINAL_STATES


class Pace(NamedTuple):
    """How often totals are told while they change, on the roll-out's clock: all of them, and the count at risk."""

    totals_every: timedelta
    risk_every: timedelta


def must_not_fire(epoch: int, state: HubState, min_epoch: int) -> bool:
    """Whether a CS06 of this epoch, if it may fire, must not: it is older than the last halt, or the hub is out."""
    return epoch < min_epoch or state in OUT


def counted(facts: Facts, state: HubState) -> str:
    """The key under which a row is counted.

    A CS06 of a confirmed hub is left aside: it names the version that runs, so it changes nothing. One that was called
    back must not fire, whatever it was called back for.
    """
    arming = facts.arming
    if arming.at is None or not arming.may_fire or state is HubState.CONFIRMED:
        return state
    return f"{state}:{CALLED_BACK if arming.cancelling else arming.epoch}"


def moved(rows: Iterable[tuple[Row, Facts, Shown]]) -> dict[int, dict[str, int]]:
    """By how much the counts of each partition change when rows are written back; nothing where none does."""
    steps = Counter(
        (facts.part, counted(row.facts, row.shown.state), counted(facts, shown.state))
        for row, facts, shown in rows
        if row.shown is not None
    )
    deltas: dict[int, dict[str, int]] = {}
    for (part, before, after), hubs in steps.items():
        if before != after:
            of_part = deltas.setdefault(part, {})
            of_part[before] = of_part.get(before, 0) - hubs
            of_part[after] = of_part.get(after, 0) + hubs
    return deltas


def opened(rows: Iterable[tuple[Facts, Shown]]) -> dict[int, dict[str, int]]:
    """The same for new rows."""
    deltas: dict[int, dict[str, int]] = {}
    for facts, shown in rows:
        of_part = deltas.setdefault(facts.part, {})
        key = counted(facts, shown.state)
        of_part[key] = of_part.get(key, 0) + 1
    return deltas


def totals_of(counts: Mapping[str, int], min_epoch: int) -> Totals:
    """What counts by key amount to under the last halt."""
    hubs: dict[HubState, int] = {}
    at_risk = 0
    for key, n in sorted(counts.items()):
        name, _, epoch = key.partition(":")
        state = HubState(name)
        hubs[state] = hubs.get(state, 0) + n
        if epoch and must_not_fire(int(epoch), state, min_epoch):
            at_risk += n
    return Totals(hubs, at_risk)


def told_again_at(told: Totals, told_at: Instant, found: Totals, pace: Pace) -> Instant | None:
    """When totals are to be told again; None while they are as told.

    At once when the last hub is final or the last one at risk is not any more, else at the pace.
    """
    if found == told:
        return None
    if (found.all_final and not told.all_final) or (told.at_risk > 0 and found.at_risk == 0):
        return told_at
    return told_at + (pace.totals_every if found.at_risk == told.at_risk else pace.risk_every)
