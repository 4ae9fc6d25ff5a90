"""Settings of a service that a test composes without its servers, or on a database that the test opens itself."""

from pathlib import Path
from typing import Any

_NONE = Path("none")


def nowhere(dsn: str = "-", **own: Any) -> dict[str, Any]:
    """The settings that every service must be given, and some of its own."""
    return {
        "database_dsn": dsn,
        "database_password_file": _NONE,
        "kafka_bootstrap": "none:0",
        "kafka_username": "none",
        "kafka_password_file": _NONE,
        "jwks_file": _NONE,
        **own,
    }
