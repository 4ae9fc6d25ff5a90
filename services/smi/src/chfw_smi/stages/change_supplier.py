"""Change of Supplier: who answers for hubs from now on."""

from collections.abc import Sequence
from dataclasses import dataclass

from chfw_common.events.smi import CauseKind, SmiCause
from chfw_common.kernel.ids import HubId
from chfw_common.runtime.service import Answered, Now, Tx
from chfw_smi.domain.inventory import Line, SupplierChange, change_suppliers
from chfw_smi.stages.change import changed
from chfw_smi.stages.tell import name_of, tell
from chfw_smi.store import hub


@dataclass(frozen=True, slots=True)
class ChangeAnswer:
    """What the changes did, counted in hubs; `unknown` are the hubs the inventory does not have."""

    changed: int
    unchanged: int
    unknown: tuple[HubId, ...]


async def command(tx: Tx, changes: Sequence[SupplierChange], now: Now) -> Answered[ChangeAnswer]:
    """Apply the changes hub by hub, in the order given, and tell each changed hub once."""
    by_hub: dict[HubId, list[SupplierChange]] = {}
    for change in changes:
        by_hub.setdefault(change.hub, []).append(change)
    before = await hub.lock(tx, by_hub)
    at = now()
    after: list[Line] = []
    for key, line in before.items():
        moved = change_suppliers(line, by_hub[key], at)
        if moved is not None:
            after.append(moved)
    await hub.save_suppliers(tx, after)
    unknown = tuple(sorted(by_hub.keys() - before.keys()))
    answer = ChangeAnswer(len(after), len(before) - len(after), unknown)
    cause = SmiCause(kind=CauseKind.SUPPLIER_CHANGE, at=at)
    done = changed("change-supplier", before, after)
    return Answered(answer, name_of("change-supplier", after), done, tell((line, cause) for line in after))
