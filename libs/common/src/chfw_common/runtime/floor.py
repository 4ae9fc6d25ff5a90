"""The id below which a lane of the outbox has nothing left to look at.

Events that were relayed stay in the index as long as a snapshot may see them: a dump, an export. A relay that begins at
the floor does not step over them again and again. The floor is exact: ids are given out before their transactions
commit, so an id counts as past only when no transaction is left that may hold it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from chfw_common.runtime.clock import stopwatch

LOOK_BACK = 600.0
"""Seconds after which a relay looks from the beginning: what it passed by by some mistake waits no longer."""


@dataclass(slots=True)
class Floor:
    """Where a relay begins to look. Start at the beginning."""

    id: int = 0
    _reached: int = 0
    _waits: tuple[int, int] | None = None
    _looked_back: float = field(default_factory=stopwatch)

    def rise(self, oldest: int) -> None:
        """The oldest transaction still under way: ids that none but older ones may hold are past after this look."""
        if stopwatch() - self._looked_back > LOOK_BACK:
            self.drop()
        elif self._waits is not None and self._waits[1] <= oldest:
            self._reached, self._waits = self._waits[0], None

    def taken(self, last_id: int, ids: Sequence[int], taken_by: int | None, *, full: bool) -> None:
        """A look is done, and what it took has left.

        `last_id` was the last id given out before the transaction `taken_by` began to write; `full`: there may be more
        events than were taken.
        """
        self.id = max(self.id, min(self._reached, max(ids)) if full else self._reached)
        if self._waits is None and taken_by is not None:
            self._waits = (last_id, taken_by)

    def drop(self) -> None:
        """Look from the beginning."""
        self.id, self._reached, self._waits, self._looked_back = 0, 0, None, stopwatch()
