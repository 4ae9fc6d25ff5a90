"""To agree is to name a time that was shown (A-9): by value, to this Party, for this hub, at some time before."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from chfw_common.events.progressed import HubProgress, HubProgressed
from chfw_common.kernel.ids import HubId, PartyId
from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.kernel.rollout import AnswerKind, HubState
from chfw_common.published import scheduler
from chfw_common.topology import HUB_PROGRESSED, INSTRUCTION_RECEIVED
from tests.service.instruction.test_standing import judged
from tests.service.notifier.estates import Estate, fill
from tests.support.release import DAY, NOW, RELEASE
from tests.support.serving import Stand

FIRST, SECOND, THIRD = (NOW + days * DAY for days in (30, 40, 50))
ELEC, GAS, NEXT = PartyId("elec"), PartyId("gas"), PartyId("next")


def shows(
    hubs: Sequence[int], version: int, proposed_at: Instant | None, *parties: PartyId, **changes: Any
) -> HubProgressed:
    """The ledger tells the Parties of these hubs which time is proposed."""
    fields: dict[str, Any] = {
        "state": HubState.AWAITING_CONSENT,
        "answers": dict.fromkeys(parties or (ELEC, GAS), None) | {GAS: AnswerKind.INSTRUCT},
        **changes,
    }
    item = HubProgress(hubs={HubId(hub): version for hub in hubs}, proposed_at=proposed_at, **fields)
    return HubProgressed(release_id=RELEASE, firmware="9.2", items=(item,))


async def agreed(stand: Stand, key: str, hubs: list[int], at: Instant, party: str = "elec") -> list[str]:
    """The verdicts of a request that agrees to a time."""
    return await judged(stand, key, hubs, party=party, kind="agree", activate_at=format_instant(at))


async def test_a_time_that_was_never_shown_is_refused_and_so_is_one_where_nothing_is_proposed(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs(range(1, 5))
    await stand.consume(HUB_PROGRESSED, shows([1, 2], 2, FIRST), shows([3], 2, None))
    assert await agreed(stand, "a", [1, 2, 3, 4], FIRST) == ["accepted"] * 2 + ["time_not_shown"] * 2
    assert await agreed(stand, "b", [1, 2, 3, 4], SECOND) == ["time_not_shown"] * 4
    sent = await stand.fetch("select count(*) from outbox where topic = $1", INSTRUCTION_RECEIVED.name)
    assert sent == [(2,)], "hubs 1 and 2, once"


async def test_a_time_counts_that_was_shown_before_the_proposal_changed(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs([1])
    await stand.consume(HUB_PROGRESSED, shows([1], 2, FIRST))
    await stand.consume(HUB_PROGRESSED, shows([1], 3, SECOND), shows([1], 4, None))
    for number, time in enumerate((FIRST, SECOND)):
        assert await agreed(stand, f"a{number}", [1], time) == ["accepted"]
    assert await agreed(stand, "b", [1], THIRD) == ["time_not_shown"]


async def test_all_that_one_batch_showed_counts_in_whatever_order_and_however_often(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs([1])
    words = [shows([1], 4, THIRD), shows([1], 2, FIRST), shows([1], 3, SECOND)]
    await stand.consume(HUB_PROGRESSED, *words, *words)
    await stand.consume(HUB_PROGRESSED, *words)
    ((shown,),) = await stand.fetch("select shown from hub_standing")
    assert len(shown) == 6, "three times, two Parties"
    for number, time in enumerate((FIRST, SECOND, THIRD)):
        assert await agreed(stand, f"a{number}", [1], time) == ["accepted"]


async def test_what_was_shown_stays_through_every_later_step_of_the_hub(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs([1])
    states = (HubState.SCHEDULED, HubState.DISTRIBUTING, HubState.ARMED, HubState.DELIVERED)
    await stand.consume(HUB_PROGRESSED, shows([1], 2, FIRST))
    for version, state in enumerate(states, start=3):
        await stand.consume(HUB_PROGRESSED, shows([1], version, SECOND, state=state))
    assert await stand.fetch("select version, class from hub_standing") == [(6, "holds")]
    assert await agreed(stand, "a", [1], FIRST) == ["accepted"]


async def test_what_others_were_shown_before_is_nothing_to_who_comes_later(stand: Stand) -> None:
    """Nor does a verdict tell it what was proposed then."""
    await stand.announce()
    await stand.load_hubs([1], imports="next")
    await stand.consume(HUB_PROGRESSED, shows([1], 2, FIRST))
    assert await agreed(stand, "a", [1], FIRST, "next") == ["time_not_shown"]
    await stand.consume(HUB_PROGRESSED, shows([1], 3, FIRST, NEXT, GAS))
    assert await agreed(stand, "b", [1], FIRST, "next") == ["accepted"]
    assert await agreed(stand, "c", [1], FIRST, "gas") == ["accepted"]


async def test_what_came_too_late_shows_nothing_to_the_other(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs([1])
    await stand.consume(HUB_PROGRESSED, shows([1], 2, FIRST, too_late=(GAS,)))
    assert await agreed(stand, "a", [1], FIRST) == ["time_not_shown"]
    assert await agreed(stand, "b", [1], FIRST, "gas") == ["accepted"]


async def test_a_proposal_counts_that_intake_has_not_heard_of_yet(stand: Stand) -> None:
    """The Party read it in its feed or its report, which may be quicker than intake."""
    await stand.announce()
    await stand.load_hubs([1, 2])
    await fill(stand, Estate(1, proposed_at=FIRST), ledger_only=True)
    assert await agreed(stand, "a", [1, 2], FIRST) == ["accepted", "time_not_shown"]
    assert await agreed(stand, "b", [1, 2], SECOND) == ["time_not_shown"] * 2


async def test_who_instructs_needs_to_be_shown_nothing(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs([1])
    assert await judged(stand, "a", [1], activate_at=format_instant(FIRST)) == ["accepted"]


async def test_the_role_of_intake_may_read_what_is_proposed(chfw_dsn: str) -> None:
    connection = await asyncpg.connect(chfw_dsn)
    try:
        await connection.execute("set role chfw_instruction")
        async with connection.transaction():
            assert await scheduler.proposed(connection, RELEASE, ELEC, FIRST, [(0, HubId(1))]) == set()
    finally:
        await connection.close()
