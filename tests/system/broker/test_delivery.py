"""What both brokers owe the consume core: order, repeats that do nothing, members that come and go, no holes."""

from typing import TYPE_CHECKING

from tests.support.waiting import running

if TYPE_CHECKING:
    from tests.support.stands import Stand

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]


async def test_order_is_kept_per_partition(stand: "Stand") -> None:
    async with running(stand.source().run()):
        await stand.put(range(50), partition=0)
        await stand.put(range(100, 150), partition=3)
        await stand.reached(50, 0)
        await stand.reached(50, 3)
    assert await stand.taken(0) == list(range(50))
    assert await stand.taken(3) == list(range(100, 150))
