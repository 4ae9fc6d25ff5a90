"""The whole story on virtual time: the four views agree, and a seed gives one state, whatever Postgres plans."""

import asyncio
from collections.abc import Iterator

import pytest

from chfw_cli.demo.report import Report
from chfw_cli.demo.simulate import simulate
from chfw_cli.local.state import StateDir
from tests.support.servers import temporary_state

HUBS = 150


def run(place: StateDir, seed: int, *, other_plans: bool = False, hubs: int = HUBS) -> Report:
    """One simulated roll-out."""
    return asyncio.run(simulate(place, hubs=hubs, seed_number=seed, other_plans=other_plans, say=lambda _: None))


@pytest.fixture(scope="module")
def place() -> Iterator[StateDir]:
    """Where the simulation has a Postgres of its own."""
    yield from temporary_state()


@pytest.fixture(scope="module")
def first(place: StateDir) -> Report:
    """The run the others are compared with."""
    return run(place, seed=3)


def test_the_views_and_the_oracle_agree(first: Report) -> None:
    assert first.ok, first.lines()
    assert first.mismatches == 0
    assert sum(first.by_state.values()) == first.enrolled
    assert first.by_state["confirmed"] > 0.9 * first.enrolled


def test_the_same_seed_gives_the_same_state(place: StateDir, first: Report) -> None:
    assert run(place, seed=3).state_hash == first.state_hash


def test_the_planner_has_no_say_in_it(place: StateDir, first: Report) -> None:
    other = run(place, seed=3, other_plans=True)
    assert (other.ok, other.state_hash) == (True, first.state_hash)


def test_another_seed_gives_another_state(place: StateDir, first: Report) -> None:
    other = run(place, seed=4)
    assert other.ok, other.lines()
    assert other.state_hash != first.state_hash
