"""What telling progress costs: 2,000 hubs of 12 Parties, beside the plain way that says the very same."""

import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from statistics import median
from uuid import UUID

import pytest

from chfw_common.events.progressed import HubProgress, HubProgressed
from chfw_common.kernel.ids import HubId, PartyId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import AnswerKind, HubState
from chfw_common.runtime.clock import stopwatch
from chfw_common.runtime.service import Batch, Received, Tx
from chfw_common.topology import HUB_PROGRESSED
from chfw_notifier.stages import tell
from tests.service.notifier.plain import tell_plainly
from tests.support.release import NOW, RELEASE
from tests.support.serving import Stand

PARTIES = [PartyId(f"party-{n:02d}") for n in range(12)]
ROUNDS = 7
Tell = Callable[[Tx, Batch[HubProgressed], Instant], Awaitable[object]]


def progress(number: int) -> HubProgress:
    """A hub of one or two of the Parties."""
    answers: dict[PartyId, AnswerKind | None] = {PARTIES[number % 12]: AnswerKind.INSTRUCT}
    if number % 3:
        answers[PARTIES[(number * 7 + number // 12) % 12]] = None if number % 2 else AnswerKind.AGREE
    at = NOW + timedelta(days=30, minutes=number % 50)
    return HubProgress(
        hub=HubId(number * 7919),
        version=1,
        state=HubState.AWAITING_CONSENT,
        activate_at=at,
        answer_by=at - timedelta(days=14),
        proposed_at=at,
        answers=answers,
    )


def batch(hubs: int, a_chunk: int, base: int) -> Batch[HubProgressed]:
    """So many hubs in chunks; `base` makes the ids of the events new."""
    items = tuple(progress(n) for n in range(hubs))
    chunks = [items[first : first + a_chunk] for first in range(0, hubs, a_chunk)]
    events = [HubProgressed(release_id=RELEASE, firmware="9.2", items=chunk) for chunk in chunks]
    received = (Received(n, UUID(int=base + n), NOW, event) for n, event in enumerate(events))
    return Batch(HUB_PROGRESSED.name, 0, tuple(received))


async def took(stand: Stand, way: Tell, work: Batch[HubProgressed]) -> float:
    """The milliseconds of one batch in one transaction."""
    begun = stopwatch()
    async with stand.database.transaction() as tx:
        await way(tx, work, NOW)
    return (stopwatch() - begun) * 1_000


@pytest.mark.parametrize(("hubs", "a_chunk"), [(25, 25), (2_000, 25), (2_000, 500)])
async def test_what_a_batch_costs(stand: Stand, capsys: pytest.CaptureFixture[str], hubs: int, a_chunk: int) -> None:
    plain, present = [], []
    await took(stand, tell.handle_progress, batch(24, 24, 1 << 60))
    for turn in range(ROUNDS):
        plain.append(await took(stand, tell_plainly, batch(hubs, a_chunk, (2 * turn) << 32)))
        present.append(await took(stand, tell.handle_progress, batch(hubs, a_chunk, (2 * turn + 1) << 32)))
    with capsys.disabled():
        figures = f"{median(plain):.1f} ms plainly, {median(present):.1f} ms now"
        sys.stdout.write(f"\n{hubs} hubs by {a_chunk}, 12 Parties: {figures}\n")


async def test_both_ways_say_the_same(stand: Stand) -> None:
    await took(stand, tell.handle_progress, batch(24, 24, 1 << 60))
    said = []
    for way, base in ((tell_plainly, 1 << 32), (tell.handle_progress, 2 << 32)):
        before = dict(await stand.fetch("select party, last_seq from party"))
        await took(stand, way, batch(300, 25, base))
        rows = await stand.fetch("select party, seq, kind, at, payload::jsonb from feed order by party, seq")
        said.append([(party, seq - before[party], *rest) for party, seq, *rest in rows if seq > before[party]])
    assert said[0] == said[1]
    assert len(said[0]) > 12
