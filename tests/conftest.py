"""What every tier shares: fixtures as plugins, and one profile for Hypothesis."""

import asyncio

from hypothesis import settings

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]

# Machines are shared: an example may take long without anything being wrong.
settings.register_profile("chfw", deadline=None)
settings.load_profile("chfw")


def pytest_configure() -> None:
    """Start without an implicit event loop: plugins would make one that nobody closes, and warnings are errors here."""
    asyncio.set_event_loop(None)
