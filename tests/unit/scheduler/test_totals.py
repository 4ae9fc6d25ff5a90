"""How rows are counted, what of them is at risk, and when totals are told again."""

from datetime import timedelta
from typing import Any

import pytest

from chfw_common.kernel.hubs import DeviceStatus
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import HubState
from chfw_scheduler.domain.act import Cancel, call_back
from chfw_scheduler.domain.facts import ArmResult, Facts, Row
from chfw_scheduler.domain.state import show
from chfw_scheduler.domain.totals import Pace, Totals, counted, moved, opened, told_again_at, totals_of
from tests.unit.scheduler.test_state import ARMED, BLANK, CALLED, OVER, ROLLOUT, SILENT, STOPPED, S, T, row, under

HOUR, TEN = timedelta(hours=1), timedelta(seconds=10)
PACE = Pace(totals_every=HOUR, risk_every=TEN)
WITHHELD = {**ARMED, **OVER, "ended": ArmResult.WITHHELD}
LEFT: list[dict[str, Any]] = [{"firmware": "ELSE"}, {"status": DeviceStatus.WITHDRAWN}]

UNFIT: dict[str, Any] = {"status": DeviceStatus.RECOVERY}


def left(given: Facts, change: dict[str, Any]) -> Facts:
    return given._replace(inventory=given.inventory._replace(**change))


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (row(), "scheduled"),
        (under(ARMED), "armed:2"),
        (under(CALLED), "cancelling:-1"),
        (under(WITHHELD), "delivered:2"),
        (under({**ARMED, **OVER, "ended": ArmResult.REFUSED}), "delivered"),
        (under({**ARMED, "outcome": 0, "outcome_at": T}), "activated"),
        (left(under(ARMED), {"firmware": "NEW"}), "confirmed"),
        (left(under(ARMED), LEFT[0]), "superseded:2"),
        (left(under(WITHHELD), LEFT[1]), "departed:2"),
        (left(under(WITHHELD), UNFIT), "unfit:2"),
        (left(under(CALLED, silence=SILENT), UNFIT), "silent:-1"),
    ],
)
def test_a_row_is_counted_under_its_state_and_the_epoch_of_what_may_fire(given: Facts, key: str) -> None:
    assert counted(given, show(given, ROLLOUT).state) == key


@pytest.mark.parametrize(
    ("counts", "min_epoch", "at_risk"),
    [
        ({"armed:2": 5, "delivered": 3}, 2, 0),
        ({"armed:2": 5, "delivered": 3}, 3, 5),
        ({"armed:2": 5, "armed:4": 3, "delivered:1": 2}, 3, 7),
        ({"superseded:4": 1, "departed:4": 2, "superseded": 9}, 0, 3),
        ({"cancelling:-1": 4, "silent:-1": 1, "unfit:4": 2, "unfit": 9}, 0, 7),
        ({}, 3, 0),
    ],
)
def test_at_risk_is_what_may_fire_and_must_not(counts: dict[str, int], min_epoch: int, at_risk: int) -> None:
    """Older than the last halt, or of a hub that has left. A new halt changes it without a change of any row."""
    totals = totals_of(counts, min_epoch)
    assert totals.at_risk == at_risk
    assert sum(totals.hubs.values()) == sum(counts.values())


@pytest.mark.parametrize("given", [under(ARMED), under(WITHHELD)], ids=["armed", "withheld"])
@pytest.mark.parametrize("change", LEFT, ids=["superseded", "departed"])
def test_what_counts_at_risk_is_called_back_and_nothing_else(given: Facts, change: dict[str, Any]) -> None:
    """The rule of the counts and that of the cancels are one."""
    for facts, rollout in ((given, ROLLOUT), (given, STOPPED), (left(given, change), ROLLOUT)):
        key = counted(facts, show(facts, rollout).state)
        _, action = call_back(facts, rollout, T)
        assert isinstance(action, Cancel) == (totals_of({key: 1}, rollout.decision.min_epoch).at_risk == 1)


def test_rows_move_between_keys_and_what_stays_is_not_written() -> None:
    armed, called = under(ARMED), under(CALLED)
    before, after = show(armed, ROLLOUT), show(called, ROLLOUT)
    rows = [(Row(1, armed, before), called, after)] * 2 + [(Row(1, armed, before), armed, before)]
    assert moved(rows) == {3: {"armed:2": -2, "cancelling:-1": 2}}
    assert moved(rows[2:]) == {}
    assert opened([(BLANK, show(BLANK, ROLLOUT))] * 3) == {3: {"eligible": 3}}


def totals(at_risk: int = 0, **hubs: int) -> Totals:
    return Totals({HubState(state): n for state, n in hubs.items()}, at_risk)


@pytest.mark.parametrize(
    ("told", "found", "due"),
    [
        (totals(armed=3), totals(armed=3), None),
        (totals(), totals(eligible=3), T + HOUR),
        (totals(armed=3), totals(armed=2, activated=1), T + HOUR),
        (totals(3, armed=3), totals(2, armed=2, cancelled=1), T + TEN),
        (totals(1, armed=1, eligible=1), totals(0, cancelled=1, eligible=1), T),
        (totals(1, armed=1), totals(0, cancelled=1), T),
        (totals(activated=1), totals(confirmed=1), T),
        (totals(confirmed=1), totals(confirmed=2), T + HOUR),
        (totals(0, armed=1), totals(1, superseded=1), T),
        (totals(0, armed=1, eligible=1), totals(1, superseded=1, eligible=1), T + TEN),
    ],
)
def test_totals_are_told_at_a_pace_and_ends_at_once(told: Totals, found: Totals, due: Instant | None) -> None:
    assert told_again_at(told, T, found, PACE) == due


def test_a_release_without_hubs_is_not_final() -> None:
    assert not totals().all_final
    assert totals(confirmed=1, departed=1).all_final
    assert not totals(confirmed=1, unreachable=1).all_final
    assert S.UNREACHABLE not in totals(confirmed=1).hubs
