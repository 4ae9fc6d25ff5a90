"""When a halt is effective: by all edges' word, or by its own clock, read after the locks (I7). On a real Postgres."""

import asyncio
from datetime import timedelta

import pytest

from chfw_common.events.rollout_progress import ProgressKind, RolloutProgressed
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.rollout import Mode
from chfw_scheduler.store import releases
from tests.service.scheduler.stand import Stand, hubs_of, instruction
from tests.service.scheduler.test_decisions import until_blocked
from tests.support.release import NOW, RELEASE

PERMIT, SKEW, FORWARD, TICK = (
    timedelta(minutes=10),
    timedelta(seconds=5),
    timedelta(seconds=10),
    timedelta(microseconds=1),
)
LAST_FORWARDED = PERMIT + 2 * SKEW + FORWARD
"""Behind the instant at which a halt was stored: the last one at which an edge can forward what is older."""


async def told(stand: Stand) -> list[tuple[ProgressKind, int]]:
    return [(event.kind, event.epoch) for event in await stand.published(RolloutProgressed)]


async def effective_by(stand: Stand) -> Instant:
    ((due,),) = await stand.fetch("select effective_by from decision")
    assert isinstance(due, Instant)
    return due


async def test_a_halt_is_effective_when_nothing_older_can_be_forwarded_and_not_before(stand: Stand) -> None:
    """The borders of what is assumed of edges that do not answer: skew both ways, and the time they take to forward."""
    await stand.enrolled(hubs_of(3, 1))
    await stand.decide(1, Mode.STOP, halt=1)
    assert await effective_by(stand) == NOW + LAST_FORWARDED + TICK
    stand.now = NOW + LAST_FORWARDED
    assert await stand.tick("effective") == 0
    stand.now += TICK
    assert await stand.tick("effective") == 1
    assert await told(stand) == [(ProgressKind.FENCING, 1), (ProgressKind.EFFECTIVE, 1)]


async def test_a_halt_is_never_effective_by_the_clock_of_an_earlier_one(stand: Stand) -> None:
    """The tick has seen that the pause is due, and waits for the stop that is being stored."""
    await stand.enrolled(hubs_of(3, 1))
    await stand.decide(1, Mode.RUN)
    await stand.decide(2, Mode.PAUSE, halt=2)
    await stand.edge_obeys("North", 2)
    await stand.decide(3, Mode.RUN, halt=2)
    stand.now = await effective_by(stand)
    await told(stand)
    async with stand.database.transaction() as tx:
        await releases.own_release(tx, RELEASE)
        expiring = asyncio.create_task(stand.tick("effective", 1))
        await until_blocked(stand)
        # What the handler of the stop writes, in its transaction that holds the release.
        due = stand.now + LAST_FORWARDED + TICK
        await tx.execute("update decision set epoch = 4, min_epoch = 4, mode = 'stop'")
        await tx.execute(releases.SQL["begin_fencing"], RELEASE, 4, due)
    await expiring
    assert await told(stand) == []
    assert await stand.fetch("select fencing_epoch, effective_at from decision") == [(4, None)]
    stand.now = due
    await stand.tick("effective")
    assert await told(stand) == [(ProgressKind.EFFECTIVE, 4)]


async def test_a_stop_that_meets_the_tick_waits_for_its_own_permits(stand: Stand) -> None:
    """The same by the handler itself, many times: tick and decision at once, in any order."""
    await stand.enrolled(hubs_of(3, 1))
    epoch = 0
    for _ in range(20):
        epoch += 1
        await stand.decide(epoch, Mode.PAUSE, halt=epoch)
        await stand.decide(epoch + 1, Mode.RUN, halt=epoch)
        stand.now = await effective_by(stand)
        await told(stand)
        epoch += 2
        await asyncio.gather(stand.tick("effective", 1), stand.decide(epoch, Mode.PAUSE, halt=epoch))
        assert (ProgressKind.EFFECTIVE, epoch) not in await told(stand)
        ((waiting,),) = await stand.fetch("select fencing_epoch from decision")
        assert waiting == epoch


async def test_a_decision_that_waited_counts_from_when_it_had_the_lock(stand: Stand) -> None:
    """Claims went on meanwhile, and their permits run longer than those the decision could know when it came."""
    waited = timedelta(seconds=20)
    await stand.enrolled(hubs_of(3, 1))
    await stand.decide(1, Mode.RUN)
    async with stand.database.transaction() as tx:
        await releases.share_release(tx, RELEASE)
        deciding = asyncio.create_task(stand.decide(2, Mode.STOP, halt=2))
        await until_blocked(stand)
        stand.now += waited
    await deciding
    assert await effective_by(stand) == NOW + waited + LAST_FORWARDED + TICK


@pytest.mark.parametrize("waits", [timedelta(0), timedelta(minutes=30)])
async def test_a_claim_that_waited_gives_a_permit_from_when_it_had_the_lock(stand: Stand, waits: timedelta) -> None:
    hubs = hubs_of(3, 1)
    await stand.enrolled(hubs)
    await stand.decide(1, Mode.RUN)
    await stand.instruct(instruction("elec", hubs))
    async with stand.database.transaction() as tx:
        await releases.own_release(tx, RELEASE)
        claiming = asyncio.create_task(stand.tick("claim", 1))
        await until_blocked(stand)
        stand.now += waits
    await claiming
    (handed,) = await stand.fetch("select dist_at from ledger where dist_at is not null")
    assert handed == (NOW + waits,)
