"""Hub by hub, do the four views and the oracle agree? A pure comparison; it mends and forgives nothing."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chfw_cli.demo.estate import NEW_FIRMWARE, EstateHub
from chfw_cli.demo.oracle import Expected
from chfw_cli.demo.views import LedgerView, Views
from chfw_common.kernel.ids import HubId, PartyId, hub_eui64
from chfw_common.kernel.instants import Instant

DONE = frozenset({"confirmed", "failed_final", "unreachable"})
"""How a hub may end in a story nobody stops."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One disagreement."""

    hub: HubId
    what: str

    def __str__(self) -> str:
        return f"{hub_eui64(self.hub)}: {self.what}"


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """All disagreements, how many hubs ended how, and the hubs that nobody could reach."""

    mismatches: tuple[Mismatch, ...]
    by_state: Mapping[str, int]
    unreachable: tuple[HubId, ...]


def reconcile(views: Views, expected: Mapping[int, Expected], estate: tuple[EstateHub, ...]) -> Reconciliation:
    """Compare every hub of the estate in all views."""
    found: list[Mismatch] = []
    for hub in estate:
        wanted, row = expected.get(hub.hub), views.ledger.get(hub.hub)
        if wanted is None or row is None:
            found += [Mismatch(hub.hub, what) for what in _outside(views, hub, wanted, row)]
        else:
            found += [Mismatch(hub.hub, what) for what in _inside(views, hub, wanted, row)]
    strangers = views.ledger.keys() - {hub.hub for hub in estate}
    found += [Mismatch(hub, "is in the ledger, not in the estate") for hub in sorted(strangers)]
    by_state = Counter(row.state for row in views.ledger.values())
    if sum(by_state.values()) != len(expected):
        found.append(Mismatch(HubId(0), f"totals: {sum(by_state.values())} hubs in states, {len(expected)} expected"))
    unreachable = tuple(sorted(hub for hub, row in views.ledger.items() if row.state == "unreachable"))
    return Reconciliation(tuple(found), dict(sorted(by_state.items())), unreachable)


def _outside(views: Views, hub: EstateHub, wanted: Expected | None, row: LedgerView | None) -> Iterator[str]:
    if (wanted is None) != (row is None):
        yield "the release concerns it, the ledger does not know it" if row is None else "was enrolled without cause"
    device, inventory = views.devices.get(hub.hub), views.inventory.get(hub.hub)
    if device is None or inventory is None:
        yield "is missing in the devices or the inventory"
    elif {device.firmware, inventory.firmware, inventory.gpf_firmware} != {hub.firmware} or device.activations:
        yield "was touched though the release does not concern it"
    elif inventory.status != hub.status:
        yield f"is {inventory.status} though the release does not concern it, and was {hub.status}"


def _inside(views: Views, hub: EstateHub, wanted: Expected, row: LedgerView) -> Iterator[str]:
    device, inventory = views.devices.get(hub.hub), views.inventory.get(hub.hub)
    if device is None or inventory is None:
        yield "is missing in the devices or the inventory"
        return
    new = row.state == "confirmed"
    if row.state not in DONE:
        yield f"did not come to an end: {row.state}"
    seen = {device.firmware, inventory.firmware, inventory.gpf_firmware}
    if seen != {NEW_FIRMWARE if new else hub.firmware}:
        yield f"is {row.state}, but device, CHF and GPF say {device.firmware}, {inventory}"
    # What fits the release is commissioned or suspended, and a new version ends a suspension.
    if inventory.status != ("Commissioned" if new else hub.status):
        yield f"was {hub.status}, is {row.state}, and the inventory says {inventory.status}"
    if device.activations != (1 if new else 0):
        yield f"was activated {device.activations} times, state {row.state}"
    yield from _times(wanted, row, device.activated_at)
    if row.pilot != wanted.pilot:
        yield f"pilot is {row.pilot}, expected {wanted.pilot}"
    if row.wave != wanted.wave:
        yield f"wave is {row.wave}, expected {wanted.wave}"
    if set(row.parties) != set(hub.parties):
        yield f"parties are {row.parties}, expected {hub.parties}"
    for party in hub.parties:
        yield from _told(views, PartyId(party), hub.hub, row)


def _times(wanted: Expected, row: LedgerView, activated_at: Instant | None) -> Iterator[str]:
    if wanted.planned_at is not None and row.activate_at != wanted.planned_at:
        yield f"is planned for {row.activate_at}, expected {wanted.planned_at}"
    if activated_at is not None and row.activate_at is not None and activated_at < row.activate_at:
        yield f"was activated at {activated_at}, before {row.activate_at}"
    if activated_at is not None and wanted.opens is not None and activated_at < wanted.opens:
        yield f"was activated at {activated_at}, its group opens at {wanted.opens}"


def _told(views: Views, party: PartyId, hub: HubId, row: LedgerView) -> Iterator[str]:
    told = views.told.get(party, {}).get(hub)
    if told is None:
        yield f"{party} was told nothing of it"
    elif (told.state, told.activate_at) != (row.state, row.activate_at):
        yield f"{party} was told {told.state} {told.activate_at}, the ledger says {row.state} {row.activate_at}"
