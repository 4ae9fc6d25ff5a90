"""What hubs have said and nobody hears yet."""

from collections.abc import Sequence
from typing import NamedTuple

from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx
from chfw_common.topology import CHUNK, HUB_PARTITIONS
from chfw_device_sim.store.columns import columns

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

    hub: HubId
    release_id: ReleaseId
    topic: str
    item: str


async def put(tx: Tx, words: Sequence[Later]) -> None:
    """Keep words until they are heard."""
    if words:
        await tx.execute(_SQL["put_later"], *columns(words))


async def next_due(tx: Tx) -> tuple[int, Instant] | None:
    """The partition of the word that is heard next, and when."""
    row = await tx.fetchrow(_SQL["next_later"], HUB_PARTITIONS)
    return None if row is None else (row["part"], row["due"])


async def take(tx: Tx, part: int, now: Instant) -> list[Heard]:
    """Up to a chunk of what is heard now in a partition, in order, and forget it."""
    return [Heard._make(row) for row in await tx.fetch(_SQL["take_later"], part, now, CHUNK)]
