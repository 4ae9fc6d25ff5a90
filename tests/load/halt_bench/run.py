"""One run: hubs are let go, something goes wrong, the DCC halts the release, and the evidence is read."""

import asyncio
import functools
import signal
import time

from tests.load.halt_bench import estate, wal
from tests.load.halt_bench.draw import Edge, Plan
from tests.load.halt_bench.evidence import Observed, Observer
from tests.load.halt_bench.figures import Ran
from tests.load.halt_bench.heard import Heard
from tests.load.halt_bench.sabotage import WrongEdge
from tests.load.halt_bench.stand import NETWORK, Stand
from tests.load.halt_bench.verdict import judge
from tests.support.waiting import eventually

CLAIM_LIMIT = 60.0
BACK_LIMIT = 60.0
EFFECTIVE_LIMIT = 60.0
SETTLE_LIMIT = 120.0

_CLAIMED = "select exists (select from scheduler.ledger where release_id = $1 and arm_at is not null)"
_FORWARDED = "select exists (select from device_sim.device where receipt_release = $1)"
_EFFECTIVE = "select exists (select from scheduler.decision where release_id = $1 and effective_at is not null)"
_OPEN = """
select (select count(*) from device_sim.device where armed_release = $1 or coming_release = $1)
    + (select count(*) from scheduler.ledger
       where release_id = $1 and state in ('distributing', 'arming', 'armed', 'cancelling'))
"""


async def run(stand: Stand, plan: Plan) -> Ran:
    """Do one run and judge it. A run that does not come to its end is a trouble, never a success."""
    try:
        observer = await _begin(stand, plan)
        await _halt(stand, plan)
        await eventually(functools.partial(_holds, stand, _EFFECTIVE, plan), EFFECTIVE_LIMIT)
        # An edge stays wrong until it has judged every message: what it may do wrong, it has done then.
        await _settle(stand, plan)
    except TimeoutError:
        left = await stand.admin.fetchval(_OPEN, plan.release_id), await stand.backlog.count()
        return Ran(plan, trouble="no end in time: {} hubs or rows and {} messages stay open".format(*left))
    finally:
        stand.faults.set(None)
    observer.follow([commit async for commit in wal.commits(stand.admin)])
    trouble = contradiction(observer.seen, await stand.listener.of(plan.release_id))
    return Ran(plan, judge(observer.seen), trouble)


async def _begin(stand: Stand, plan: Plan) -> Observer:
    """Deliver images while all is well; then the evidence begins, and the edge is wrong."""
    await stand.deliver(plan)
    await wal.forget(stand.admin)
    wrong = WrongEdge(plan.region, plan.edge.skew.total_seconds(), cut_off=plan.edge.cut_off)
    stand.faults.set(None if plan.edge is Edge.SOUND else wrong)
    return Observer(plan.release_id, estate.HALT_EPOCH, await wal.ledger_now(stand.admin, plan.release_id))


def contradiction(seen: Observed, heard: Heard) -> str | None:
    """Why the evidence cannot be believed: the log of Postgres, the tables and Kafka must tell the same."""
    forwarded = {(deed.hub, deed.counter) for deed in seen.forwarded}
    armed = {(deed.hub, deed.counter) for deed in seen.armed}
    if not armed <= forwarded:
        return f"{len(armed - forwarded)} hubs took a CS06 that nobody answered"
    if forwarded != heard.accepted:
        return f"{len(forwarded ^ heard.accepted)} CS06 are on Kafka or in the log, not in both"
    if {deed.hub for deed in seen.activated} != heard.activated:
        return "the alerts on Kafka are not the activations of the hubs"
    return None


async def _halt(stand: Stand, plan: Plan) -> None:
    await stand.let_go(plan)
    begins = _FORWARDED if plan.forwarding else _CLAIMED
    await eventually(functools.partial(_holds, stand, begins, plan), CLAIM_LIMIT)
    begun = time.monotonic()

    async def halt() -> None:
        await asyncio.sleep(begun + plan.halt_at - time.monotonic())
        await estate.decide(stand.client, plan, plan.mode)

    async def harm() -> None:
        await asyncio.sleep(begun + plan.harm_at - time.monotonic())
        await _harm(stand, plan)

    await asyncio.gather(halt(), harm())


async def _harm(stand: Stand, plan: Plan) -> None:
    """Kill or freeze a process, and wait until it works again."""
    service = plan.process.service
    if service is None:
        return
    stack = stand.stack
    if plan.process.freezes:
        stack.kill(service, signal.SIGSTOP)
        try:
            await asyncio.sleep(plan.frozen)
        finally:
            stack.kill(service, signal.SIGCONT)
    else:
        stack.kill(service)
        await asyncio.sleep(0)
    await stack.wait_ready(service, BACK_LIMIT)


async def _holds(stand: Stand, question: str, plan: Plan) -> bool:
    return bool(await stand.admin.fetchval(question, plan.release_id))


async def _settle(stand: Stand, plan: Plan) -> None:
    """Wait until no hub of the run can do anything any more, and every message is settled by everybody."""

    async def settled() -> bool:
        return await stand.backlog.count() == 0 and await stand.admin.fetchval(_OPEN, plan.release_id) == 0

    async with asyncio.timeout(SETTLE_LIMIT):
        for name in (NETWORK, "scheduler"):
            await stand.stack.wait_ready(name, BACK_LIMIT)
        await eventually(settled, SETTLE_LIMIT)
        await eventually(settled, SETTLE_LIMIT)
