"""Random histories through the stages of five services, on the real Postgres.

`make test` runs a few of them, `make fuzz` 500. The counts are printed with `-s`.
"""

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.histories.machine import Histories
from tests.support.fuzzing import inputs


def test_the_invariants_hold_after_each_step_of_any_history(chfw_dsn: str) -> None:
    Histories.dsn = chfw_dsn
    many = inputs(quick=15, long=500)
    run_state_machine_as_test(Histories, settings=settings(many, stateful_step_count=40, deadline=None))
    print(f"{Histories.finished} histories, {Histories.steps} steps: {dict(sorted(Histories.met.items()))}")  # noqa: T201
