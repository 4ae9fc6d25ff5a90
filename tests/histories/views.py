"""What a history looks at after each step: the state of the services, typed, wherever it is kept."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from chfw_common.kernel.ids import HubId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.waves import Wave
from tests.histories.truth import Holder, Word


class Force(NamedTuple):
    """The decision in force, as the scheduler has it."""

    epoch: int
    min_epoch: int
    mode: str


class Laid(NamedTuple):
    """What is laid down for the release, as the scheduler has it."""

    mandatory: bool
    pilot_opens: datetime
    automatic_date: datetime
    waves: Sequence[Wave]


class Kept(NamedTuple):
    """A row of the ledger. `words` are the answers that are merged, each with its Party's number."""

    version: int
    state: str
    activate_at: datetime | None
    words: tuple[tuple[int, Word], ...]
    region: str
    wave: str | None
    holders: tuple[Holder, ...]
    delivered_at: datetime | None


class Device(NamedTuple):
    """A hub as it is in a house, and what it did."""

    hub: int
    firmware: str
    armed_counter: int | None
    activated_release: str | None
    activated_at: datetime | None
    activations: int
    executed_counter: int


class Judged(NamedTuple):
    """A judged request: how many entries it has, its counts, its verdicts, and the places they are of."""

    entries: int
    counts: Mapping[str, int]
    verdicts: int
    places: int


class Accepted(NamedTuple):
    """An accepted entry of a request."""

    hub: int
    seq: int
    word: Word


Late = tuple[int, str, int]
"""An answer that came too late: hub, Party, the Party's number."""


class Views(Protocol):
    """The state of five services at an instant between two steps."""

    async def in_force(self) -> Force | None:
        """The decision in force."""

    async def laid(self) -> Laid | None:
        """What is laid down; None while the notice has not come."""

    async def decided_date(self) -> Instant | None:
        """D as governance has it."""

    async def rows(self) -> dict[int, Kept]:
        """The ledger."""

    async def proposed_at(self, hub: HubId) -> Instant | None:
        """The time that is proposed to the second Party of a hub."""

    async def may_fire(self) -> frozenset[int]:
        """Hubs with a CS06 that may fire and must not."""

    async def left_armed(self) -> frozenset[int]:
        """Hubs that have left the release with such a CS06, to which no cancel was sent."""

    async def miscounts(self) -> Sequence[object]:
        """Where counts are not the number of rows."""

    async def working(self) -> bool:
        """Whether a job of the scheduler is not done."""

    async def devices(self) -> Sequence[Device]:
        """The hubs themselves."""

    async def inventory(self) -> dict[int, str]:
        """The version of each hub in the inventory."""

    async def judged(self) -> Sequence[Judged]:
        """The requests that are judged."""

    async def accepted(self) -> Sequence[Accepted]:
        """The entries that are accepted."""

    async def late(self) -> set[Late]:
        """The answers that came too late."""
