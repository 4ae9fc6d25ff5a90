"""Answering: hub.response, per release and partition, in the order the answers were given."""

from collections.abc import Sequence
from typing import NamedTuple

from chfw_common.events.response import HubResponse, ResponseItem
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import Outgoing, hub_events
from chfw_common.topology import HUB_RESPONSE
from chfw_device_sim.store.later import Later


class Given(NamedTuple):
    """One answer, on its way out."""

    release_id: ReleaseId
    part: int
    item: ResponseItem

    def later(self, due_at: Instant) -> Later:
        """The same, heard later."""
        item = self.item.model_dump_json()
        return Later(self.part, due_at, self.item.hub, self.release_id, HUB_RESPONSE.name, item)


def answer(given: Sequence[Given]) -> list[Outgoing]:
    """The events that carry these answers."""
    by_release: dict[ReleaseId, list[tuple[int, HubId, ResponseItem]]] = {}
    for release_id, part, item in given:
        by_release.setdefault(release_id, []).append((part, item.hub, item))
    outgoing: list[Outgoing] = []
    for release_id, rows in by_release.items():
        outgoing += hub_events(HUB_RESPONSE, rows, _Response(release_id).event)
    return outgoing


class _Response(NamedTuple):
    release_id: ReleaseId

    def event(self, items: tuple[ResponseItem, ...]) -> HubResponse:
        return HubResponse(release_id=self.release_id, items=items)
