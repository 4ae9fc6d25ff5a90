"""Pure histories are worth what their world is: it does what the stages do, step by step, on the real Postgres.

`make test` runs a few of them, `make fuzz` 200. The counts are printed with `-s`.
"""

from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

import tests.histories.pure.scheduler
from tests.histories.machine import Tally
from tests.histories.postgres import PostgresHistories
from tests.histories.twin import TwinWorld
from tests.support.fuzzing import inputs, until_found


class Twins(PostgresHistories):
    """Histories of two worlds at once."""

    tally = Tally()
    world: TwinWorld

    def open_world(self, seed: int) -> TwinWorld:
        """The services in a transaction of their own, and those without any."""
        return TwinWorld(self.begin_transaction(), seed)

    def then(self, work: Coroutine[Any, Any, Any], *, smi_may_change: bool = False) -> None:
        """A step, and the look at both."""
        super().then(work, smi_may_change=smi_may_change)
        self.run(self.world.compare())


def test_the_pure_world_does_what_the_stages_do(chfw_dsn: str) -> None:
    Twins.dsn = chfw_dsn
    many = inputs(quick=10, long=200)
    run_state_machine_as_test(Twins, settings=settings(many, stateful_step_count=40, deadline=None))
    print(Twins.tally)  # noqa: T201


def test_a_pure_world_that_does_something_else_is_found(chfw_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Control(Twins):
        tally = Tally()

    Control.dsn = chfw_dsn
    monkeypatch.setattr(tests.histories.pure.scheduler, "learn_of_record", lambda facts, *_: (facts, None))
    with pytest.raises(AssertionError, match="with stages"):
        run_state_machine_as_test(Control, settings=settings(until_found(50), stateful_step_count=40))
