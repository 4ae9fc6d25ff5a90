"""Load: full records from the operator, new or changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from chfw_common.events.smi import CauseKind, SmiCause
from chfw_common.runtime.service import Answered, Now, Tx
from chfw_common.topology import partition_of_hub
from chfw_smi.domain.inventory import Loaded, former_status, load
from chfw_smi.stages.change import changed
from chfw_smi.stages.tell import name_of, tell
from chfw_smi.store import hub, status


@dataclass(frozen=True, slots=True)
class LoadAnswer:
    """What a load did."""

    new: int
    changed: int
    unchanged: int


async def command(tx: Tx, records: Sequence[Loaded], now: Now) -> Answered[LoadAnswer]:
    """Write the records that say something new, and tell them. The same load again changes and tells nothing.

    Raises GpfTakenError when a GPF belongs to another hub.
    """
    await hub.lock_loading(tx)
    before = await hub.lock(tx, (record.hub for record in records))
    at = now()
    after = []
    for record in records:
        known = before.get(record.hub)
        line = load(known, record, known.record.part if known else partition_of_hub(record.hub), at)
        if line is not None:
            after.append(line)
    await hub.save_loaded(tx, before, after)
    known_lines = ((before[line.record.hub], line) for line in after if line.record.hub in before)
    ended = (former_status(known, line) for known, line in known_lines)
    await status.keep(tx, [entry for entry in ended if entry is not None])
    new = len(records) - len(before)
    answer = LoadAnswer(new=new, changed=len(after) - new, unchanged=len(records) - len(after))
    cause = SmiCause(kind=CauseKind.LOAD, at=at)
    done = changed("load", before, after)
    return Answered(answer, name_of("load", after), done, tell((line, cause) for line in after))
