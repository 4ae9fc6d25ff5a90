"""How long to wait before a process that died is started again."""

FIRST = 0.2
LONGEST = 5.0
SETTLED = 10.0
"""A process that lived this many seconds before it died is no crash loop: the next wait is the first again."""


def next_delay(previous: float | None, lived: float) -> float:
    """Seconds to wait after a process that lived so long, when the wait before it was `previous` (None: none)."""
    if previous is None or lived >= SETTLED:
        return FIRST
    return min(previous * 2, LONGEST)
