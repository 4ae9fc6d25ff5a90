"""What a hub says of its version against the outcome it tells: neither counts before a read has settled it."""

import pytest

from chfw_common.events.command import CommandKind
from chfw_common.events.response import ResponseKind
from chfw_common.kernel.ids import HubId
from chfw_common.kernel.rollout import HubState
from tests.service.scheduler.stand import HOUR, Stand, T, alert, hubs_of, record
from tests.support.release import DAY

SUCCESS, FAILURE = 0, 3
(HUB,) = hubs_of(3, 1)
contradictory = pytest.mark.parametrize(
    ("outcome", "firmware"),
    [(SUCCESS, "OLD"), (SUCCESS, "OTHER"), (FAILURE, "NEW"), (FAILURE, "OTHER")],
)


async def contradicted(stand: Stand, outcome: int, firmware: str) -> int:
    """The hub tells an outcome and a version that do not go together; gives the counter of the read that is sent."""
    counters = await stand.armed([HUB])
    stand.now = T + HOUR
    await stand.smi_says(record(HUB, 2, firmware=firmware, cause=alert(counters[HUB], outcome, T)))
    item = (await stand.told())[HUB]
    assert (item.state, item.reason) == (HubState.ACTIVATED, "contradicted")
    assert await stand.fetch("select hub, kind from anomaly") == [(HUB, "outcome_contradicts_version")]
    await stand.settle()
    return await read_sent(stand, HUB)


async def read_sent(stand: Stand, hub: HubId) -> int:
    return (await stand.commands(CommandKind.READ))[hub].counter


@contradictory
async def test_a_read_of_the_new_version_confirms(stand: Stand, outcome: int, firmware: str) -> None:
    counter = await contradicted(stand, outcome, firmware)
    await stand.hubs_say([HUB], ResponseKind.VERSION_READ, counter=counter, firmware="NEW")
    await stand.smi_says(record(HUB, 3, firmware="NEW"))
    assert await stand.states() == {"confirmed": 1}


@contradictory
async def test_a_read_of_the_old_version_makes_it_go_again(stand: Stand, outcome: int, firmware: str) -> None:
    counter = await contradicted(stand, outcome, firmware)
    await stand.hubs_say([HUB], ResponseKind.VERSION_READ, counter=counter, firmware="OLD")
    await stand.smi_says(record(HUB, 3))
    assert await stand.states() == {"not_applied" if outcome == SUCCESS else "activation_failed": 1}
    stand.now += DAY + HOUR
    await stand.tick("claim")
    assert (await stand.commands(CommandKind.ACTIVATE))[HUB].counter > counter


async def test_a_read_of_a_version_that_is_neither_supersedes(stand: Stand) -> None:
    counter = await contradicted(stand, SUCCESS, "OTHER")
    await stand.hubs_say([HUB], ResponseKind.VERSION_READ, counter=counter, firmware="OTHER")
    await stand.smi_says(record(HUB, 3, firmware="OTHER"))
    assert await stand.states() == {"superseded": 1}


@contradictory
async def test_without_an_answer_it_ends_unreachable(stand: Stand, outcome: int, firmware: str) -> None:
    counters = [await contradicted(stand, outcome, firmware)]
    for _ in range(2):
        assert await stand.states() == {"silent": 1}
        stand.now += DAY
        await stand.settle()
        counters.append(await read_sent(stand, HUB))
    assert counters == sorted(set(counters))
    stand.now += DAY
    await stand.settle()
    assert await stand.states() == {"unreachable": 1}


async def test_a_success_that_the_inventory_does_not_show_in_time_is_read(stand: Stand) -> None:
    """A read found the new version, and the inventory never says so: nothing waits for ever."""
    await stand.armed([HUB])
    stand.now = T + DAY
    await stand.settle()
    counter = await read_sent(stand, HUB)
    await stand.hubs_say([HUB], ResponseKind.VERSION_READ, counter=counter, firmware="NEW")
    await stand.settle()
    assert await stand.states() == {"activated": 1}
    stand.now += DAY
    await stand.settle()
    assert await read_sent(stand, HUB) > counter
    assert await stand.states() == {"silent": 1}


async def test_what_goes_together_is_no_contradiction(stand: Stand) -> None:
    success, failure = hubs_of(3, 2)
    counters = await stand.armed([success, failure])
    await stand.smi_says(
        record(success, 2, firmware="NEW", cause=alert(counters[success], SUCCESS, T)),
        record(failure, 2, cause=alert(counters[failure], FAILURE, T)),
    )
    assert await stand.states() == {"confirmed": 1, "activation_failed": 1}
    assert await stand.fetch("select count(*) from anomaly") == [(0,)]
