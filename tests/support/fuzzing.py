"""How many inputs a fuzzed parser gets: few in every run of the tests, many in `make fuzz` (docs/testing.md)."""

from hypothesis import HealthCheck, Phase, settings

QUICK = 50
"""Inputs of one test of a parser in `make test`."""
LONG = 5_000
"""The same in `make fuzz`, where whoever fuzzes may ask for more."""


def is_long() -> bool:
    """Whether this is the long run."""
    return settings.get_current_profile_name() == "fuzz"


def inputs(quick: int = QUICK, long: int = LONG) -> settings:
    """The settings of a fuzz test. The quick run is the same every time; the long one is not, unless it has a seed."""
    if is_long():
        return settings(max_examples=long, suppress_health_check=[*HealthCheck])
    return settings(max_examples=quick, derandomize=True, database=None, suppress_health_check=[*HealthCheck])


def until_found(most: int) -> settings:
    """The settings of a control: a planted fault must be found within so many inputs, the same in every run. It is not
    made smaller."""
    return settings(
        max_examples=most, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        report_multiple_bugs=False, suppress_health_check=[*HealthCheck],
    )  # fmt: skip
