"""The fences of the edges: what each obeys for a release, and the locks that make obeying exact."""

from collections.abc import Iterable, Mapping, Sequence

from chfw_common.kernel.ids import ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.advisory import lock_key
from chfw_common.runtime.queries import load_queries
from chfw_common.runtime.service import Tx

_SQL = load_queries("chfw_device_sim.store", "fence.sql")

Fences = dict[tuple[ReleaseId, str], int]


async def share(tx: Tx, releases: Iterable[ReleaseId], edges: Sequence[str]) -> Fences:
    """Hold the fences until the transaction ends and say where they are. Nobody raises them meanwhile.

    The locks are taken in a statement of their own, so that the next one sees what was committed before them.
    """
    known = sorted(set(releases))
    await tx.execute(_SQL["share_fences"], _keys(known, edges))
    return await find(tx, known)


async def close(tx: Tx, releases: Iterable[ReleaseId], edges: Sequence[str]) -> None:
    """Wait until whatever passes the edges has committed, and let nothing pass until the transaction ends."""
    await tx.execute(_SQL["close_fences"], _keys(releases, edges))


async def find(tx: Tx, releases: Sequence[ReleaseId]) -> Fences:
    """The least epochs that edges forward, by release and edge; what is missing is 0."""
    rows = await tx.fetch(_SQL["find_fences"], list(releases))
    return {(row["release_id"], row["edge"]): row["min_epoch"] for row in rows}


async def know(tx: Tx, releases: Iterable[ReleaseId], edges: Sequence[str]) -> None:
    """Write fences at 0 for releases that are new here."""
    await tx.execute(_SQL["know_release"], sorted(set(releases)), sorted(edges))


async def put_up(tx: Tx, least: Mapping[ReleaseId, int], edges: Sequence[str], now: Instant) -> None:
    """Raise the fences of all edges to at least these epochs."""
    releases = sorted(least)
    await tx.execute(_SQL["raise_fences"], releases, [least[entry] for entry in releases], sorted(edges), now)


def _keys(releases: Iterable[ReleaseId], edges: Sequence[str]) -> list[int]:
    return sorted(lock_key("device-sim", "fence", f"{release}|{edge}") for release in set(releases) for edge in edges)
