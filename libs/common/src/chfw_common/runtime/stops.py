"""The partitions that a process does not read on, because a person has to decide about their positions."""

from collections.abc import Mapping
from dataclasses import dataclass

from chfw_common.runtime.errors import PositionError

LOOK_EVERY = 5.0
"""Machine seconds between two looks whether a person has decided."""


@dataclass(frozen=True, slots=True)
class _Stop:
    error: PositionError
    counted_on: str | None


class Stops:
    """The stopped partitions of one source, and why each was stopped."""

    def __init__(self) -> None:
        self._stops: dict[tuple[str, int], _Stop] = {}

    @property
    def partitions(self) -> frozenset[tuple[str, int]]:
        """(topic, partition) of each."""
        return frozenset(self._stops)

    def add(self, topic: str, partition: int, error: PositionError, counted_on: str | None) -> None:
        """A partition is stopped; `counted_on` is the topic id of its position."""
        self._stops[topic, partition] = _Stop(error, counted_on)

    def remove(self, topic: str, partition: int) -> bool:
        """It is stopped no more; says whether it was."""
        return self._stops.pop((topic, partition), None) is not None

    def changed(self, topic: str, known: Mapping[int, tuple[int, str]]) -> list[int]:
        """The stopped partitions of a topic whose position (offset that is due, topic id) is another by now."""
        return sorted(
            partition
            for (name, partition), stop in self._stops.items()
            if name == topic and partition in known and known[partition] != (stop.error.due, stop.counted_on)
        )

    def told(self) -> str | None:
        """Which are stopped, topic by topic, and why the first is; None when all are read."""
        if not self._stops:
            return None
        found = sorted(self._stops)
        topics = sorted({topic for topic, _ in found})
        named = ", ".join(f"{topic}/{','.join(str(p) for name, p in found if name == topic)}" for topic in topics)
        return f"partitions cannot be read on: {named} ({self._stops[found[0]].error})"
