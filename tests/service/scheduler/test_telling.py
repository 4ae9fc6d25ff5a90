"""What another Party may have caused: seen by nobody, and nothing begun, before the day is over (ADR 0075)."""

import pytest

from chfw_common.events.response import ResponseKind
from chfw_common.kernel.coarse import day_after
from chfw_common.kernel.ids import HubId
from chfw_common.kernel.rollout import AnswerKind, HubState, Mode
from tests.service.scheduler.stand import HOUR, Stand, T, hubs_of, instruction, record
from tests.support.release import DAY, NOW

(HUB,) = hubs_of(3, 1)
DECLINE, WITHDRAW = AnswerKind.DECLINE, AnswerKind.WITHDRAW
SEEN = "select state, import_instructed, gas_instructed, proposed_at from scheduler_published.seen"
LIVE = SEEN.replace("seen", "ledger")


@pytest.fixture
async def shared(stand: Stand) -> Stand:
    """A hub of two Parties, in a release that runs."""
    await stand.enrolled([HUB], parties=("elec", "gas"))
    await stand.decide(1, Mode.RUN)
    return stand


async def news(stand: Stand) -> tuple[HubState, tuple[str, ...] | None] | None:
    """What is told of the hub, and to whom."""
    item = (await stand.told()).get(HUB)
    return None if item is None else (item.state, item.news_for)


async def test_an_instruction_is_seen_by_both_when_the_day_is_over(shared: Stand) -> None:
    await shared.instruct(instruction("gas", [HUB]))
    assert await news(shared) is None
    assert await shared.fetch(SEEN) == [("eligible", False, False, None)]
    assert await shared.fetch(LIVE) == [("awaiting_consent", False, True, T)]
    shared.now = day_after(NOW) - HOUR
    await shared.settle()
    assert await news(shared) is None
    await shared.day_ends()
    assert await news(shared) == (HubState.AWAITING_CONSENT, ("elec", "gas"))
    assert await shared.fetch(SEEN) == await shared.fetch(LIVE)


async def test_nothing_begins_before_it_is_seen(shared: Stand) -> None:
    await shared.instruct(instruction("gas", [HUB]), instruction("elec", [HUB]))
    await shared.settle()
    assert await shared.states() == {"scheduled": 1}
    assert await shared.distributed() == []
    await shared.day_ends()
    await shared.tick("claim")
    assert await shared.distributed() == [HUB]
    assert await shared.miscounts() == []


@pytest.mark.parametrize("words", [(DECLINE,), (WITHDRAW,), (DECLINE, DECLINE, WITHDRAW, DECLINE)])
async def test_what_has_no_effect_is_told_to_its_own_party_alone(shared: Stand, words: tuple[AnswerKind, ...]) -> None:
    before = await shared.fetch(SEEN)
    for seq, kind in enumerate(words, start=1):
        await shared.instruct(instruction("gas", [HUB], seq=seq, kind=kind, at=None))
    await shared.day_ends()
    assert await news(shared) == (HubState.ELIGIBLE, ("gas",))
    assert await shared.fetch(SEEN) == before


async def test_what_is_taken_back_on_the_same_day_never_was(shared: Stand) -> None:
    await shared.instruct(instruction("gas", [HUB]))
    await shared.instruct(instruction("gas", [HUB], seq=2, kind=WITHDRAW, at=None))
    await shared.day_ends()
    assert await news(shared) == (HubState.ELIGIBLE, ("gas",))


async def test_a_second_word_moves_nothing_about_when_it_is_told(shared: Stand) -> None:
    await shared.instruct(instruction("gas", [HUB]))
    again = instruction("gas", [HUB], seq=2, at=T + DAY)
    await shared.instruct(again.model_copy(update={"received_at": day_after(NOW) + HOUR}))
    await shared.day_ends()
    assert await news(shared) == (HubState.AWAITING_CONSENT, ("elec", "gas"))


async def test_another_party_in_its_place_is_seen_when_the_day_is_over(shared: Stand) -> None:
    await shared.instruct(instruction("gas", [HUB]))
    await shared.day_ends()
    await shared.told()
    await shared.smi_says(record(HUB, 2, parties=("elec", "next"), since=shared.now))
    assert await news(shared) is None
    assert await shared.fetch(SEEN) == [("awaiting_consent", False, True, T)]
    await shared.day_ends()
    assert await news(shared) == (HubState.ELIGIBLE, ("elec", "gas", "next"))


async def test_what_comes_soon_is_told_at_once(shared: Stand) -> None:
    """Else the day would make it late."""
    await shared.instruct(instruction("gas", [HUB], at=day_after(NOW) + 3 * HOUR))
    assert await news(shared) == (HubState.AWAITING_CONSENT, ("elec", "gas"))


async def test_what_the_hub_does_is_told_at_once_with_all_that_was_withheld(shared: Stand) -> None:
    await shared.instruct(instruction("gas", [HUB]), instruction("elec", [HUB]))
    await shared.day_ends()
    await shared.tick("claim")
    await shared.told()
    later = instruction("gas", [HUB], seq=2, at=T + DAY).model_copy(update={"received_at": shared.now})
    await shared.instruct(later)
    assert await news(shared) is None
    await shared.hubs_say([HUB], ResponseKind.DELIVERED, epoch=1)
    item = (await shared.told())[HUB]
    assert (item.state, item.activate_at) == (HubState.DELIVERED, T + DAY)


async def test_one_party_alone_waits_for_nobody(stand: Stand) -> None:
    own = HubId(HUB)
    await stand.enrolled([own])
    await stand.instruct(instruction("elec", [own]))
    assert await news(stand) == (HubState.SCHEDULED, ("elec",))
