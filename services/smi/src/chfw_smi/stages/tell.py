"""Telling: smi.updated from lines, and a name for the request that caused it."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b

from chfw_common.events.smi import Responsible, SmiCause, SmiHub, SmiUpdated
from chfw_common.kernel.hubs import Responsibility
from chfw_common.kernel.ids import hub_key
from chfw_common.runtime.service import Outgoing, hub_events
from chfw_common.topology import SMI_UPDATED
from chfw_smi.domain.inventory import Line

Told = tuple[Line, SmiCause]


def tell(told: Iterable[Told]) -> list[Outgoing]:
    """The events of these lines, each with its cause, in order."""
    rows = [(line.record.part, hub_key(line.record.hub), _item(line, cause)) for line, cause in told]
    return hub_events(SMI_UPDATED, rows, lambda items: SmiUpdated(items=items))


def name_of(command: str, lines: Sequence[Line]) -> str:
    """A name for a command by what it changed. No two commands make the same version of a hub."""
    digest = blake2b(digest_size=16)
    for line in lines:
        digest.update(f"{line.record.hub}:{line.record.smi_version};".encode())
    return f"smi|{command}|{digest.hexdigest()}"


def _item(line: Line, cause: SmiCause) -> SmiHub:
    record = line.record
    return SmiHub(
        hub=record.hub,
        smi_version=record.smi_version,
        device_type=record.device_type,
        status=record.status,
        manufacturer=record.manufacturer,
        model=record.model,
        hardware=record.hardware,
        firmware=record.firmware,
        gbcs=record.gbcs,
        region=record.region,
        responsible=tuple(map(_responsible, record.responsible)),
        cause=cause,
    )


@lru_cache(maxsize=10_000)
def _responsible(entry: Responsibility) -> Responsible:
    """Kept, because a Party answers for many hubs since the same instant, and models cost more to make than to keep."""
    return Responsible(party=entry.party, user_id=entry.user_id, role=entry.role, since=entry.since)
