"""What hubs have said and nobody hears yet."""

from collections.abc import Sequence
from typing import NamedTuple

from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.columns import columns
from chfw_common.runtime.dues import PartDue
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_common.topology import HUB_PARTITIONS

_SQL = load_queries("chfw_device_sim.store", "later.sql")


class Later(NamedTuple):
    """One word, and when it is heard. `item` is the JSON of what the event of the topic will carry."""

    part: int
    due_at: Instant
    hub: HubId
    release_id: ReleaseId
    topic: str
    item: str


class Heard(NamedTuple):
    """One word whose time has come."""

    id: int
    part: int
    hub: HubId
    release_id: ReleaseId
    topic: str
    item: str


async def put(tx: Tx, words: Sequence[Later]) -> None:
    """Keep words until they are heard."""
    if words:
        await tx.execute(_SQL["put_later"], *columns(words))


async def dues(tx: Tx) -> list[PartDue]:
    """When the next word of each partition is heard, the earliest first."""
    return [PartDue._make(row) for row in await tx.fetch(_SQL["words_due"], HUB_PARTITIONS)]


async def take(tx: Tx, parts: Sequence[int], now: Instant, limit: int) -> list[Heard]:
    """What is heard now in these partitions, in order and up to the limit; it is forgotten."""
    return [Heard._make(row) for row in await tx.fetch(_SQL["take_later"], parts, now, limit)]


async def put_off(tx: Tx, word: int, until: Instant) -> None:
    """Let a word be heard at another time."""
    await tx.execute(_SQL["put_off_word"], word, until)
