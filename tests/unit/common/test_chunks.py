"""Chunks of hubs: at most 500 of one partition, and no more bytes than a broker takes."""

from chfw_common.events.smi import CauseKind, SmiCause, SmiHub, SmiUpdated
from chfw_common.kernel.hubs import DeviceStatus, DeviceType
from chfw_common.kernel.ids import HubId
from chfw_common.runtime.service import EVENT_BYTES, hub_events
from chfw_common.topology import CHUNK, SMI_UPDATED, partition_of_hub
from tests.support.release import NOW

LONGEST = "\x01" * 60
"""The longest text of a hub that the inventory takes, of characters that need six bytes each."""


def hub(number: int, text: str) -> SmiHub:
    return SmiHub(
        hub=HubId(number),
        smi_version=1,
        device_type=DeviceType.CHF,
        status=DeviceStatus.COMMISSIONED,
        manufacturer=text,
        model=text,
        hardware=text,
        firmware=text,
        gbcs=text,
        region=text,
        responsible=(),
        cause=SmiCause(kind=CauseKind.LOAD, at=NOW),
    )


def test_a_chunk_that_would_be_too_large_is_cut() -> None:
    rows = [(7, HubId(n), hub(n, LONGEST)) for n in range(700)]
    events = hub_events(SMI_UPDATED, rows, lambda items: SmiUpdated(items=items))
    assert len(events) == 3, "500 in halves, and 200"
    assert all(len(out.payload or b"") <= EVENT_BYTES for out in events)
    assert all(out.payload == out.event.model_dump_json().encode() for out in events)
    named = [one.hub for out in events for one in SmiUpdated.model_validate_json(out.payload or b"").items]
    assert named == [HubId(n) for n in range(700)]
    assert [out.partition for out in events] == [7] * 3


def test_chunks_of_ordinary_hubs_are_full() -> None:
    hubs = [HubId(n) for n in range(40_000)]
    rows = [(partition_of_hub(one), one, hub(one, "CH9")) for one in hubs]
    events = hub_events(SMI_UPDATED, rows, lambda items: SmiUpdated(items=items))
    assert len({out.partition for out in events}) == 32
    sizes = [out.event.weight for out in events]
    assert sum(sizes) == len(hubs)
    assert max(sizes) == CHUNK
