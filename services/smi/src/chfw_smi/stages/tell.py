"""Telling: smi.updated from lines, and a name for the request that caused it."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b

from chfw_common.events.smi import Responsible, SmiCause, SmiHub, SmiUpdated
from chfw_common.kernel.hubs import DeviceStatus, DeviceType, Responsibility
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role
from chfw_common.runtime.service import Outgoing, hub_events
from chfw_common.topology import SMI_UPDATED
from chfw_smi.domain.inventory import Heard, Line
from chfw_smi.store.hub import Fixed

Told = tuple[Line, SmiCause]

_TYPES = {entry.value: entry for entry in DeviceType}
_STATUSES = {entry.value: entry for entry in DeviceStatus}


def tell(told: Iterable[Told]) -> list[Outgoing]:
    """The events of these lines, each with its cause, in order."""
    rows = [(line.record.part, line.record.hub, _item(line, cause)) for line, cause in told]
    return hub_events(SMI_UPDATED, rows, lambda items: SmiUpdated(items=items))


def tell_heard(told: Sequence[tuple[Fixed, Heard, SmiCause]]) -> list[Outgoing]:
    """The events of what hubs said, each with its cause, in order."""
    rows = [(fixed.part, fixed.hub, _heard_item(fixed, heard, cause)) for fixed, heard, cause in told]
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


def _heard_item(fixed: Fixed, heard: Heard, cause: SmiCause) -> SmiHub:
    """Validated like any other: with this pydantic, `model_construct` takes longer than the validation it saves."""
    (
        hub, _, _, device_type, status, manufacturer, model, hardware, gbcs, region,
        import_party, import_user, import_since, gas_party, gas_user, gas_since,
    ) = fixed  # fmt: skip
    return SmiHub(
        hub=hub,
        smi_version=heard.smi_version,
        device_type=_TYPES[device_type],
        status=_STATUSES[status],
        manufacturer=manufacturer,
        model=model,
        hardware=hardware,
        firmware=heard.firmware,
        gbcs=gbcs,
        region=region,
        responsible=(
            *_supplier(import_party, import_user, Role.IMPORT_SUPPLIER, import_since),
            *_supplier(gas_party, gas_user, Role.GAS_SUPPLIER, gas_since),
        ),
        cause=cause,
    )


@lru_cache(maxsize=10_000)
def _supplier(
    party: PartyId | None, user_id: UserId | None, role: Role, since: Instant | None
) -> tuple[Responsible, ...]:
    if party is None or user_id is None or since is None:
        return ()
    return (Responsible(party=party, user_id=user_id, role=role, since=since),)


@lru_cache(maxsize=10_000)
def _responsible(entry: Responsibility) -> Responsible:
    """Kept, because a Party answers for many hubs since the same instant, and models cost more to make than to keep."""
    return Responsible(party=entry.party, user_id=entry.user_id, role=entry.role, since=entry.since)
