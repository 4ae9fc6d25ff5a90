"""What the services are told in the demonstration, where a day passes in a second."""

from datetime import timedelta
from typing import Any


def service_settings(seed: int) -> dict[str, Any]:
    """Settings of all services, by field: permits and the shortest notice are 12 h of the demonstration's clock, and
    totals are told once a day.

    An edge has 10 s of the machine's time to forward (its `transaction_limit`), which are ten days.
    """
    return {
        "permit_ttl": timedelta(hours=12),
        "asap_lead": timedelta(hours=12),
        "refused_retry": timedelta(hours=12),
        "forward_within": timedelta(days=10),
        "totals_every": timedelta(days=1),
        "delivery_grid": timedelta(hours=6),
        "fleet_seed": seed,
    }


def environment(seed: int) -> dict[str, str]:
    """The same as the environment of processes."""
    return {
        f"CHFW_{name.upper()}": f"PT{int(value.total_seconds())}S" if isinstance(value, timedelta) else str(value)
        for name, value in service_settings(seed).items()
    }
