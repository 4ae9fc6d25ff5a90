"""What every tier shares: fixtures as plugins, and the profiles for Hypothesis."""

import asyncio

from hypothesis import settings

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]

# Machines are shared: an example may take long without anything being wrong.
settings.register_profile("chfw", deadline=None)
# The long run, `make fuzz`: tests/support/fuzzing.py says of how many inputs.
settings.register_profile("fuzz", settings.get_profile("chfw"), print_blob=True)
settings.load_profile("chfw")


def pytest_configure() -> None:
    """Start without an implicit event loop: plugins would make one that nobody closes, and warnings are errors here."""
    asyncio.set_event_loop(None)
