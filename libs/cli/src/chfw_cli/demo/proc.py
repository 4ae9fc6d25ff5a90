"""Memory of this process."""

import resource


def own_peak_mb() -> float:
    """The most resident memory this process has held."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
