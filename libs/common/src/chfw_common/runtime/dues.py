"""What is due partition by partition: how ticks find the few partitions that have something to do."""

from collections.abc import Sequence
from typing import NamedTuple

from chfw_common.kernel.instants import Instant


class PartDue(NamedTuple):
    """A partition, and when it next has something to do."""

    at: Instant
    part: int


def earliest(dues: Sequence[PartDue]) -> Instant | None:
    """When there is next something to do; the earliest stands first."""
    return dues[0].at if dues else None


def parts_due(dues: Sequence[PartDue], now: Instant) -> list[int]:
    """The partitions that have something to do now, in the order given."""
    return [due.part for due in dues if due.at <= now]
