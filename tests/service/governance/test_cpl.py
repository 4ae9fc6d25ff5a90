"""A CPL entry that is not Active any more halts a release by a decision, in the one line of epochs (I11)."""

import asyncio
import json
from typing import Any

from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import Mode
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.outbox import write_outbox
from chfw_common.runtime.service import Tx
from chfw_common.topology import RELEASE_NOTIFIED
from chfw_governance.domain.decide import Notice, Proposal
from chfw_governance.stages import decide
from tests.service.governance.test_decisions import listed, post
from tests.support.release import DAY, RELEASE, D, notice
from tests.support.serving import Stand, batch_of
from tests.support.waiting import eventually

WITHDRAWN = {"state": "Withdrawn"}
EARLIER = "2027-03-30T00:00:00Z"


async def notified(stand: Stand, tx: Tx, *changes: dict[str, Any]) -> None:
    """Notices are handled in this transaction."""
    batch = batch_of(RELEASE_NOTIFIED, [notice(**change) for change in changes], stand.clock.at)
    outcome = await stand.service.consumes[RELEASE_NOTIFIED].handler(tx, batch, stand.clock.now)
    await write_outbox(tx, outcome.outgoing, "notice", stand.clock.at)


async def notify(stand: Stand, *changes: dict[str, Any]) -> None:
    async with stand.database.transaction() as tx:
        await notified(stand, tx, *changes)


async def running(stand: Stand) -> None:
    """A release that runs, at epoch 2."""
    await notify(stand, {})
    await post(stand, "pilot", "pilot")
    await post(stand, "run", "run", without_pilot="a fault")
    await stand.fetch("delete from outbox")


async def told(stand: Stand) -> list[tuple[int, int, str]]:
    events = [json.loads(row[0]) for row in await stand.fetch("select payload from outbox order by id")]
    return [(event["epoch"], event["min_epoch"], event["mode"]) for event in events]


async def until_it_waits(stand: Stand) -> None:
    async def waits() -> bool:
        return bool((await stand.fetch("select count(*) from pg_locks where not granted"))[0][0])

    await eventually(waits)


async def test_a_withdrawn_entry_holds_once_and_the_dcc_goes_on(stand: Stand) -> None:
    await running(stand)
    await notify(stand, {"version": 2, "cpl": WITHDRAWN})
    await notify(stand, {"version": 2, "cpl": WITHDRAWN}, {"version": 3, "cpl": {"state": "Expired"}})
    assert await told(stand) == [(3, 3, "held")]
    last = (await listed(stand))[-1]
    assert (last["epoch"], last["reason"], last["confirmed_by"]) == (3, "The CPL entry is Withdrawn.", None)
    answer = await post(stand, "k1", "run")
    assert (answer.status_code, answer.json()["code"]) == (409, "cpl_not_active")
    await notify(stand, {"version": 4})
    assert await told(stand) == [(3, 3, "held")]
    assert (await post(stand, "k2", "run")).json()["epoch"] == 4


async def test_withdrawn_and_back_in_one_batch_is_a_halt_all_the_same(stand: Stand) -> None:
    await running(stand)
    await notify(stand, {"version": 2, "cpl": WITHDRAWN}, {"version": 3})
    assert await told(stand) == [(3, 3, "held")]


async def test_an_older_notice_halts_nothing(stand: Stand) -> None:
    await running(stand)
    await notify(stand, {"version": 2}, {"version": 3}, {"version": 2, "cpl": WITHDRAWN})
    assert await told(stand) == []


async def test_a_notice_ahead_of_its_line_is_no_state(stand: Stand) -> None:
    """What comes next in line counts: a version far ahead would have made governance deaf to it."""
    await running(stand)
    await notify(stand, {"version": 999})
    await notify(stand, {"version": 2, "cpl": WITHDRAWN})
    assert await told(stand) == [(3, 3, "held")]


async def test_a_decision_that_meets_the_withdrawal_is_refused(stand: Stand) -> None:
    """The notice is handled and not committed; the decision waits for the release's row, and sees it."""
    await running(stand)
    async with stand.database.transaction() as tx:
        await notified(stand, tx, {"version": 2, "cpl": WITHDRAWN})
        deciding = asyncio.create_task(post(stand, "k1", "run", automatic_date=EARLIER))
        await until_it_waits(stand)
    answer = await deciding
    assert (answer.status_code, answer.json()["code"]) == (409, "cpl_not_active")
    assert await told(stand) == [(3, 3, "held")]


async def test_a_withdrawal_that_meets_a_decision_has_the_next_epoch(stand: Stand) -> None:
    """The decision is not committed; the notice waits for the release's row, and halts what was decided."""
    await running(stand)
    request = decide.DecisionRequest(
        Caller(PartyId("dcc"), UserId("dcc-u"), Role.DCC), "k1", b"", RELEASE,
        Proposal(Mode.RUN, "sooner", automatic_date=D - DAY), Notice(),
    )  # fmt: skip
    async with stand.database.transaction() as tx:
        answered = await decide.command(tx, request, stand.clock.now)
        await write_outbox(tx, answered.outgoing, answered.cause, stand.clock.at)
        holding = asyncio.create_task(notify(stand, {"version": 2, "cpl": WITHDRAWN}))
        await until_it_waits(stand)
    await holding
    assert await told(stand) == [(3, 0, "run"), (4, 4, "held")]
