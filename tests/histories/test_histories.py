"""Random histories through the stages of five services, on the real Postgres.

`make test` runs a few of them, `make fuzz` 500. The counts are printed with `-s`.
"""

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.histories.machine import Tally
from tests.histories.postgres import PostgresHistories
from tests.histories.stages import StagesWorld
from tests.support.fuzzing import inputs


class StagesHistories(PostgresHistories):
    """Histories of the services as they are."""

    tally = Tally()

    def open_world(self, seed: int) -> StagesWorld:
        """The services in a transaction of their own."""
        return StagesWorld(self.begin_transaction(), seed)


def test_the_invariants_hold_after_each_step_of_any_history(chfw_dsn: str) -> None:
    StagesHistories.dsn = chfw_dsn
    many = inputs(quick=15, long=500)
    run_state_machine_as_test(StagesHistories, settings=settings(many, stateful_step_count=40, deadline=None))
    print(StagesHistories.tally)  # noqa: T201
