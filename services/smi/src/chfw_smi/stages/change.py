"""What a command changed of the inventory, as the audit log keeps it: how many hubs, and digests of their lines."""

from collections.abc import Mapping, Sequence

from chfw_common.kernel.ids import HubId
from chfw_common.runtime.digests import digest_of_rows
from chfw_common.runtime.service import Change
from chfw_smi.domain.inventory import Line
from chfw_smi.store import hub


def changed(action: str, before: Mapping[HubId, Line], after: Sequence[Line]) -> Change | None:
    """The lines as they are, and those of the same hubs as they were; None when none is different."""
    if not after:
        return None
    known = [before[line.record.hub] for line in after if line.record.hub in before]
    return Change(action, "hubs", _summary(known) if known else None, _summary(after))


def _summary(lines: Sequence[Line]) -> dict[str, object]:
    return {"hubs": len(lines), "digest": digest_of_rows(map(hub.row_of, lines))}
