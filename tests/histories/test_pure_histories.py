"""Random histories on the pure rules: many more of them than on Postgres, since nothing is stored.

`make test` runs 300, `make fuzz` 10,000. The counts are printed with `-s`. The controls take a rule away, and the
histories must find out.
"""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

import chfw_device_sim.stages.network
import chfw_scheduler.domain.merge
import chfw_scheduler.stages.respond
import tests.histories.pure.scheduler
from chfw_device_sim.domain.edge import refusal
from chfw_scheduler.domain import hear, state
from chfw_scheduler.domain.rollout import Rollout
from tests.histories.machine import Histories, T, Tally
from tests.histories.pure.world import PureWorld
from tests.support.fuzzing import inputs, until_found


class PureHistories(Histories):
    """Histories in memory."""

    tally = Tally()

    def open_world(self, seed: int) -> PureWorld:
        """Nothing is to be prepared."""
        return PureWorld(seed)

    def close_world(self) -> None:
        """Nothing is to be undone."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Nothing in this world waits, so a coroutine ends at once."""
        try:
            work.send(None)
        except StopIteration as done:
            result: T = done.value
            return result
        raise RuntimeError("a pure history waits for nothing")


def test_the_invariants_hold_after_each_step_of_any_pure_history() -> None:
    many = inputs(quick=300, long=10_000)
    run_state_machine_as_test(PureHistories, settings=settings(many, stateful_step_count=40, deadline=None))
    print(PureHistories.tally)  # noqa: T201


def nothing_is_called_back(patch: pytest.MonkeyPatch) -> None:
    """A halt and a misfit leave every CS06 where it is."""
    for module in (tests.histories.pure.scheduler, chfw_scheduler.stages.respond):
        patch.setattr(module, "call_back", lambda facts, *_: (facts, None))


def what_comes_last_is_newest(patch: pytest.MonkeyPatch) -> None:
    """Answers count in the order in which they arrive, not in that in which they were accepted."""
    patch.setattr(chfw_scheduler.domain.merge, "newer", lambda _, other: other)


def edges_compare_no_epochs(patch: pytest.MonkeyPatch) -> None:
    """An edge acknowledges a halt and lets older CS06 pass."""
    patch.setattr(
        chfw_device_sim.stages.network, "refusal", lambda permit, _, now, **skew: refusal(permit, 0, now, **skew)
    )


def every_mode_lets_go(patch: pytest.MonkeyPatch) -> None:
    """A release that is held, paused or ended is claimed from."""
    patch.setattr(Rollout, "may_claim", property(lambda _: True))
    patch.setattr(Rollout, "pilot_only", property(lambda _: False))


@pytest.fixture
def fresh_rules() -> Iterator[None]:
    """Rules keep what they have worked out; a control must neither use that nor leave anything behind."""
    kept = (hear._joined, state._plan)  # noqa: SLF001 - there is no other way to them
    for one in kept:
        one.cache_clear()
    yield
    for one in kept:
        one.cache_clear()


@pytest.mark.usefixtures("fresh_rules")
@pytest.mark.parametrize(
    ("plant", "finding"),
    [
        (nothing_is_called_back, r"\(I7\)"),
        (what_comes_last_is_newest, r"\(I1, I3\)"),
        (edges_compare_no_epochs, r"passed an edge .* \(I6\)"),
        (every_mode_lets_go, r"sent in mode .* \(I6\)"),
    ],
)
def test_the_histories_find_a_planted_fault(
    monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None], finding: str
) -> None:
    class Control(PureHistories):
        tally = Tally()

    plant(monkeypatch)
    with pytest.raises(AssertionError, match=finding):
        run_state_machine_as_test(Control, settings=settings(until_found(2_000), stateful_step_count=40))
    print(f"{plant.__name__}: found in history {Control.tally.finished + 1}")  # noqa: T201
