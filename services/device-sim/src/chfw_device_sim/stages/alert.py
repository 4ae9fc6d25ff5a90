"""Alerting: cs06.alert, per release and partition, in the order the alerts were raised."""

from collections.abc import Sequence
from typing import NamedTuple

from chfw_common.events.alert import AlertItem, Cs06Alert
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.instants import Instant
from chfw_common.runtime.service import Outgoing, hub_events
from chfw_common.topology import CS06_ALERT
from chfw_device_sim.store.later import Later


class Raised(NamedTuple):
    """One alert, on its way out."""

    release_id: ReleaseId
    part: int
    item: AlertItem

    def later(self, due_at: Instant) -> Later:
        """The same, heard later."""
        item = self.item.model_dump_json()
        return Later(self.part, due_at, self.item.hub, self.release_id, CS06_ALERT.name, item)


def alert(raised: Sequence[Raised]) -> list[Outgoing]:
    """The events that carry these alerts."""
    by_release: dict[ReleaseId, list[tuple[int, HubId, AlertItem]]] = {}
    for release_id, part, item in raised:
        by_release.setdefault(release_id, []).append((part, item.hub, item))
    outgoing: list[Outgoing] = []
    for release_id, rows in by_release.items():
        outgoing += hub_events(CS06_ALERT, rows, _Alert(release_id).event)
    return outgoing


class _Alert(NamedTuple):
    release_id: ReleaseId

    def event(self, items: tuple[AlertItem, ...]) -> Cs06Alert:
        return Cs06Alert(release_id=self.release_id, items=items)
