"""Nothing waits for ever and unseen: what hubs wait for, how long, and the alarm beyond the limit."""

from datetime import timedelta

from chfw_common.events.command import CommandKind
from chfw_common.events.response import ResponseKind
from chfw_common.kernel.ids import HubId
from chfw_common.kernel.rollout import Mode
from chfw_common.runtime.gauges import follow
from chfw_common.runtime.metrics import Metrics
from tests.service.scheduler.stand import HOUR, Stand, T, alert, hubs_of, instruction, record
from tests.support.release import DAY, RELEASE
from tests.support.serving import StoryClock
from tests.support.waiting import eventually, running

WAITS = "chfw_rollout_oldest_wait_seconds"
BEHIND = timedelta(seconds=4)
"""So far is the clock of the network behind ours: less than `max_skew`."""


async def waits(stand: Stand) -> dict[str, timedelta]:
    """How long the hub that has waited longest has waited, by what it waits for."""
    gauge = next(gauge for gauge in stand.service.gauges if gauge.name == WAITS)
    async with stand.database.transaction() as tx:
        rows = await gauge.read(tx, stand.now)
    assert all(labels[0] == RELEASE for labels, _ in rows)
    return {labels[1]: timedelta(seconds=value) for labels, value in rows}


async def alarmed(stand: Stand) -> bool:
    """Whether the service, as it runs live, raises the alarm at this instant."""
    metrics = Metrics("scheduler", ())
    read = metrics.registry.get_sample_value

    async def has_read() -> bool:
        return read(WAITS, {"rollout": RELEASE, "awaits": "outcome"}) is not None

    async with running(follow(stand.service, stand.database, StoryClock(stand.now), metrics)):
        await eventually(has_read)
    return read("chfw_alarm", {"kind": "waiting"}) == 1


async def handed_over(stand: Stand, hubs: list[HubId]) -> None:
    """The images of these hubs are on their way."""
    await stand.enrolled(hubs)
    await stand.decide(1, Mode.RUN)
    await stand.instruct(instruction("elec", hubs))
    await stand.tick("claim")
    assert sorted(await stand.distributed()) == hubs


async def test_how_long_hubs_wait_is_shown_by_what_they_wait_for(stand: Stand) -> None:
    (early,) = hubs_of(3, 1)
    await handed_over(stand, [early])
    assert await waits(stand) == {"delivery": timedelta(0)}
    stand.now += 2 * HOUR
    assert await waits(stand) == {"delivery": 2 * HOUR}
    await stand.hubs_say([early], ResponseKind.DELIVERED, epoch=1)
    assert await waits(stand) == {}
    stand.now = T - 12 * HOUR
    await stand.tick("claim")
    counter = (await stand.commands(CommandKind.ACTIVATE))[early].counter
    await stand.hubs_say([early], ResponseKind.ACTIVATION_ACCEPTED, counter=counter)
    assert await waits(stand) == {"outcome": timedelta(0)}
    stand.now = T + 3 * HOUR
    assert await waits(stand) == {"outcome": 3 * HOUR}
    await stand.smi_says(record(early, 2, firmware="OLD", cause=alert(counter, 0, T)))
    assert await waits(stand) == {"confirmation": 3 * HOUR}
    await stand.smi_says(record(early, 3, firmware="NEW"))
    assert await waits(stand) == {}


async def test_beyond_the_limit_an_alarm_is_raised_until_the_hub_is_heard_or_given_up(stand: Stand) -> None:
    """A hub that is given up is shown as unreachable, and is not waited for."""
    heard, given_up = hubs_of(3, 2)
    await stand.armed([heard, given_up])
    stand.now = T + DAY
    assert not await alarmed(stand)
    stand.now += HOUR
    assert await alarmed(stand)
    for _ in range(4):
        await stand.settle()
        stand.now += DAY
    assert await stand.states() == {"unreachable": 2}
    assert await waits(stand) == {}


async def test_a_failure_told_by_a_clock_behind_ours_counts(stand: Stand) -> None:
    """The transfer took less time than the clocks differ: the hub does not stay in distributing."""
    (hub,) = hubs_of(3, 1)
    await handed_over(stand, [hub])
    stand.now -= BEHIND
    await stand.hubs_say([hub], ResponseKind.DELIVERY_FAILED, epoch=1, reason="FileTransferFailure")
    assert await stand.states() == {"delivery_failed": 1}


async def test_an_image_handed_over_again_and_held_counts_by_a_clock_behind_ours(stand: Stand) -> None:
    """The hub said that it holds no image, got it once more, and the network answers at once that it has it."""
    (hub,) = hubs_of(3, 1)
    counters = await stand.armed([hub])
    stand.now = T + HOUR
    await stand.smi_says(record(hub, 2, cause=alert(counters[hub], 1, T)))
    await stand.tick("claim")
    assert await stand.distributed() == [hub]
    stand.now -= BEHIND
    await stand.hubs_say([hub], ResponseKind.DELIVERED, epoch=1)
    assert await stand.states() == {"activation_failed": 1}
