"""A record that was parked and is handed in again is older than what came after it: it must not win."""

import pytest

from chfw_common.events.progressed import HubProgress, HubProgressed
from chfw_common.kernel.ids import HubId, hub_key
from chfw_common.kernel.rollout import HubState
from chfw_common.runtime import envelope, offsets
from chfw_common.runtime.consume import ConsumeCore
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.service import Record
from chfw_common.topology import HUB_PROGRESSED, partition_of_hub
from tests.support.release import NOW, RELEASE
from tests.support.serving import Stand

S = HubState
HUB = HubId(7)
PART = partition_of_hub(HUB)
PARKED = None
"""Stands for a record that cannot be read when it first comes."""


def record(offset: int, word: "tuple[int, HubState] | None") -> Record:
    """A word on the hub: its version and state."""
    event = HubProgressed(
        release_id=RELEASE,
        firmware="9",
        items=(HubProgress(hubs={HUB: word[0] if word else 1}, state=word[1] if word else S.ELIGIBLE, answers={}),),
    )
    headers = envelope.headers(envelope.event_id(f"{offset}", "t", b"k", 0), event.TYPE, "scheduler", NOW, NOW)
    value = b"{" if word is PARKED else event.model_dump_json().encode()
    return Record(HUB_PROGRESSED.name, PART, offset, hub_key(HUB), value, headers)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("words", "last"),
    [
        # What is parked held the hub; what came after opened it again, and needs no row of its own.
        ([PARKED, (2, S.SCHEDULED), (1, S.DISTRIBUTING)], "open"),
        # What is parked armed the hub; what came after is of the class that was known before.
        ([(1, S.DISTRIBUTING), PARKED, (3, S.DELIVERED), (2, S.ARMED)], "holds"),
        # What is parked is the newest.
        ([(1, S.DISTRIBUTING), PARKED, (2, S.DELIVERED), (3, S.ARMED)], "armed"),
    ],
)
async def test_an_older_word_never_wins(
    stand: Stand, words: "list[tuple[int, HubState] | None]", last: str, *, together: bool
) -> None:
    core = ConsumeCore(stand.service, stand.database, Metrics("instruction", ()))
    async with stand.database.transaction() as tx:
        await offsets.begin_at_zero(tx, HUB_PROGRESSED.name, "id", [PART])
    records = [record(offset, word) for offset, word in enumerate(words)]
    for offer in [records[:-1], records[-1:]] if together else [[one] for one in records]:
        await core.settle(HUB_PROGRESSED, PART, offer, stand.clock.now)
    assert await stand.fetch("select class from hub_standing where class <> 'open'") == (
        [] if last == "open" else [(last,)]
    )
    assert await stand.fetch("select count(*) from parked_record") == [(1,)]


async def test_without_a_parked_record_most_progress_writes_nothing(stand: Stand) -> None:
    words = [(1, S.ELIGIBLE), (2, S.SCHEDULED), (3, S.DISTRIBUTING), (4, S.DELIVERED)]
    core = ConsumeCore(stand.service, stand.database, Metrics("instruction", ()))
    async with stand.database.transaction() as tx:
        await offsets.begin_at_zero(tx, HUB_PROGRESSED.name, "id", [PART])
    for offset, word in enumerate(words):
        await core.settle(HUB_PROGRESSED, PART, [record(offset, word)], stand.clock.now)
    assert await stand.fetch("select version, class from hub_standing") == [(3, "holds")]
