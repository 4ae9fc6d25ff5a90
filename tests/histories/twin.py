"""A pure world beside one of real stages: both do the same, and must come to the same."""

from typing import Any

from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import Tx
from chfw_governance.domain.decide import Proposal
from chfw_instruction.stages.accept import Receipt
from chfw_smi.domain.inventory import Loaded, SupplierChange
from tests.histories.cast import Asked
from tests.histories.pure.world import PureWorld
from tests.histories.stages import StagesWorld
from tests.histories.views import Views
from tests.histories.world import UnderWay


class TwinWorld(PureWorld):
    """The pure world; whatever is done to it is done to the world of stages, and their answers are compared."""

    def __init__(self, tx: Tx, seed: int) -> None:
        super().__init__(seed)
        self._stages = StagesWorld(tx, seed)

    def _other(self) -> StagesWorld:
        self._stages.now, self._stages.step = self.now, self.step
        return self._stages

    def announce(self, **changes: Any) -> None:
        """A notice goes out in both."""
        super().announce(**changes)
        self._other().announce(**changes)

    async def manufacture(self) -> None:
        """The hubs leave both factories."""
        await super().manufacture()
        await self._other().manufacture()

    async def submit(self, asked: Asked, key: str, *, digest: bytes = b"d") -> Receipt | str:
        """The same answer, but for the id of the request."""
        answer = await super().submit(asked, key, digest=digest)
        other = await self._other().submit(asked, key, digest=digest)
        assert _without_id(answer) == _without_id(other), f"{answer}, with stages {other}"
        return answer

    async def propose(self, proposal: Proposal) -> str | None:
        """The same refusal, or none."""
        refused, other = await super().propose(proposal), await self._other().propose(proposal)
        assert refused == other, f"{refused}, with stages {other}"
        return refused

    async def take_load(self, records: list[Loaded]) -> None:
        """Both inventories are loaded."""
        await super().take_load(records)
        await self._other().take_load(records)

    async def take_change(self, change: SupplierChange) -> None:
        """Both inventories are told."""
        await super().take_change(change)
        await self._other().take_change(change)

    async def hand(self, event: UnderWay) -> bool:
        """Both take the event that stands at the same place."""
        other, again = self._other(), not any(one is event for one in self.under_way)
        mine, theirs = (self.delivered, other.delivered) if again else (self.under_way, other.under_way)
        place = next(n for n, one in enumerate(mine) if one is event)
        taken = await super().hand(event)
        if again:
            assert taken == await other.hand(theirs[place])
        else:
            assert taken == await other.deliver(place)
        return taken

    async def tick(self, name: str) -> int:
        """Both do what is due; in how many goes is their own affair."""
        ran, others = await super().tick(name), await self._other().tick(name)
        assert (ran > 0) == (others > 0), f"{name}: {ran} ticks, with stages {others}"
        return ran

    async def next_due(self, name: str) -> Instant | None:
        """The same instant."""
        due, other = await super().next_due(name), await self._other().next_due(name)
        assert due == other, f"{name} is due at {due}, with stages at {other}"
        return due

    async def compare(self) -> None:
        """The same ledger, hubs, inventory, requests, and events under way."""
        mine, theirs = await _all(self.views), await _all(self._stages.views)
        for name, seen in mine.items():
            assert seen == theirs[name], f"{name}: {seen}, with stages {theirs[name]}"
        assert _events(self.under_way) == _events(self._stages.under_way), "other events are under way"


def _without_id(answer: Receipt | str) -> tuple[object, ...]:
    return (answer,) if isinstance(answer, str) else (answer.entries, answer.received_at, answer.replayed)


async def _all(views: Views) -> dict[str, object]:
    return {
        "in force": await views.in_force(),
        "ledger": await views.rows(),
        "at risk": await views.may_fire(),
        "hubs": sorted(await views.devices()),
        "inventory": await views.inventory(),
        "judged": sorted((one.entries, sorted(one.counts.items())) for one in await views.judged()),
        "accepted": sorted((one.hub, one.word.party, one.seq) for one in await views.accepted()),
        "late": await views.late(),
    }


def _events(under_way: list[UnderWay]) -> list[object]:
    return [(one.service, one.partition, _said(one)) for one in under_way]


def _said(one: UnderWay) -> dict[str, Any]:
    """An event, less the id of the request that it is of."""
    return one.message.event.model_dump(exclude={"request_id"})
