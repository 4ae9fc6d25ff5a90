"""Saying: hub.response and cs06.alert, per release and partition, in the order in which hubs and edges said it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from chfw_common.events.alert import AlertItem, Cs06Alert
from chfw_common.events.base import Event
from chfw_common.events.response import HubResponse, ResponseItem, ResponseKind
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import Outgoing, hub_events
from chfw_common.topology import CS06_ALERT, HUB_RESPONSE, Topic
from chfw_device_sim.domain.edge import Refusal
from chfw_device_sim.store.later import Later

ItemT = TypeVar("ItemT", bound=AlertItem | ResponseItem)


class Said(NamedTuple, Generic[ItemT]):
    """One answer or alert, on its way out."""

    release_id: ReleaseId
    part: int
    item: ItemT

    def later(self, due_at: Instant) -> Later:
        """The same, heard later."""
        topic = CS06_ALERT if isinstance(self.item, AlertItem) else HUB_RESPONSE
        return Later(self.part, due_at, self.item.hub, self.release_id, topic.name, self.item.model_dump_json())


def refused_distribution(hub: HubId, epoch: int, reason: Refusal, now: Instant) -> ResponseItem:
    """What an edge answers for a hub that it does not forward an image to."""
    return ResponseItem(hub=hub, kind=ResponseKind.DISTRIBUTION_REFUSED, at=now, epoch=epoch, reason=reason.value)


def answer(given: Sequence[Said[ResponseItem]]) -> list[Outgoing]:
    """The events that carry these answers."""
    return _events(HUB_RESPONSE, given, _response)


def alert(raised: Sequence[Said[AlertItem]]) -> list[Outgoing]:
    """The events that carry these alerts."""
    return _events(CS06_ALERT, raised, _alert)


def _events(
    topic: Topic, said: Sequence[Said[ItemT]], make: Callable[[ReleaseId, tuple[ItemT, ...]], Event]
) -> list[Outgoing]:
    by_release: dict[ReleaseId, list[tuple[int, HubId, ItemT]]] = {}
    for release_id, part, item in said:
        by_release.setdefault(release_id, []).append((part, item.hub, item))
    outgoing: list[Outgoing] = []
    for release_id, rows in by_release.items():
        outgoing += hub_events(topic, rows, partial(make, release_id))
    return outgoing


def _response(release_id: ReleaseId, items: tuple[ResponseItem, ...]) -> HubResponse:
    return HubResponse(release_id=release_id, items=items)


def _alert(release_id: ReleaseId, items: tuple[AlertItem, ...]) -> Cs06Alert:
    return Cs06Alert(release_id=release_id, items=items)
