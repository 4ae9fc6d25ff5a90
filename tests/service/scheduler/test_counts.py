"""Counts kept with the rows, on a real Postgres: exact after any history, and read in place of the ledger."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chfw_common.events.fenced import RolloutFenced
from chfw_common.events.response import HubResponse, ResponseItem, ResponseKind
from chfw_common.events.rollout_progress import RolloutProgressed
from chfw_common.kernel.hubs import DeviceStatus
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.rollout import AnswerKind, HubState, Mode
from chfw_common.runtime.service import Outgoing, Tx
from chfw_common.topology import HUB_RESPONSE, RELEASE_NOTIFIED, ROLLOUT_DECISION, ROLLOUT_FENCED
from chfw_scheduler.store import counts, ledger, releases
from tests.service.scheduler.stand import EDGES, HOUR, Stand, T, alert, hubs_of, instruction, record
from tests.support.release import DAY, NOW, RELEASE, decision, notice
from tests.support.serving import batch_of
from tests.support.times import still

OTHER = ReleaseId("CH-9-3")


Step = Callable[[Stand, list[HubId]], Awaitable[object]]


async def _counters(stand: Stand, column: str, hubs: list[HubId]) -> dict[HubId, int]:
    return {
        HubId(hub): n for hub, n in await stand.fetch(f"select hub, {column} from ledger where hub = any($1)", hubs)
    }


def _says(kind: ResponseKind, column: str = "arm_counter", **fields: object) -> Step:
    async def say(stand: Stand, hubs: list[HubId]) -> None:
        known = await _counters(stand, column, hubs)
        if known:
            await stand.hubs_say(known, kind, counter=known.__getitem__, reason="x", **fields)

    return say


def _records(**fields: object) -> Step:
    async def say(stand: Stand, hubs: list[HubId]) -> None:
        ((newest,),) = await stand.fetch("select coalesce(max(smi_version), 1) + 1 from ledger")
        await stand.smi_says(*(record(hub, newest, **fields) for hub in hubs))  # type: ignore[arg-type]

    return say


def _alerts(outcome: int) -> Step:
    async def say(stand: Stand, hubs: list[HubId]) -> None:
        known = await _counters(stand, "arm_counter", hubs)
        await stand.smi_says(*(record(hub, 1, cause=alert(known.get(hub, 0), outcome, stand.now)) for hub in hubs))

    return say


def _decides(mode: Mode, *, halts: bool) -> Step:
    async def say(stand: Stand, hubs: list[HubId]) -> None:  # noqa: ARG001 - the shape of a step
        known = await stand.fetch("select epoch, min_epoch from decision")
        epoch, min_epoch = known[0] if known else (0, 0)
        await stand.decide(epoch + 1, mode, halt=epoch + 1 if halts else min_epoch)

    return say


def _answers(kind: AnswerKind) -> Step:
    async def say(stand: Stand, hubs: list[HubId]) -> None:
        ((seq,),) = await stand.fetch("select coalesce(max(version), 0) + 1000 from ledger")
        at = T if kind is AnswerKind.INSTRUCT else None
        await stand.instruct(instruction("elec", hubs, seq=seq, kind=kind, at=at))

    return say


def _passes(time: timedelta) -> Step:
    async def wait(stand: Stand, hubs: list[HubId]) -> None:  # noqa: ARG001 - the shape of a step
        stand.now += time
        for name in ("watch", "claim", "call_back", "jobs"):
            await stand.tick(name, 1)

    return wait


STEPS: dict[str, Step] = {
    "instructed": _answers(AnswerKind.INSTRUCT),
    "withdrawn": _answers(AnswerKind.WITHDRAW),
    "delivered": _says(ResponseKind.DELIVERED, epoch=1),
    "delivery failed": _says(ResponseKind.DELIVERY_FAILED),
    "accepted": _says(ResponseKind.ACTIVATION_ACCEPTED),
    "refused": _says(ResponseKind.ACTIVATION_REFUSED),
    "withheld": _says(ResponseKind.COMMAND_REFUSED),
    "cancel withheld": _says(ResponseKind.COMMAND_REFUSED, "cancel_counter"),
    "cancelled": _says(ResponseKind.CANCEL_ACCEPTED, "cancel_counter"),
    "too late": _says(ResponseKind.CANCEL_TOO_LATE, "cancel_counter"),
    "read": _says(ResponseKind.VERSION_READ, "read_counter", firmware="OLD"),
    "activated": _alerts(0),
    "failed": _alerts(3),
    "superseded": _records(firmware="OTHER"),
    "departed": _records(status=DeviceStatus.DECOMMISSIONED),
    "back": _records(),
    "confirmed": _records(firmware="NEW"),
    "run": _decides(Mode.RUN, halts=False),
    "pause": _decides(Mode.PAUSE, halts=True),
    "hour": _passes(HOUR),
    "to the day": _passes(60 * DAY),
}
HUBS = hubs_of(3, 12)
PARTS = st.tuples(st.integers(0, 8), st.integers(1, 4)).map(lambda at: HUBS[at[0] : at[0] + at[1]])
AT_RISK = """
select count(*) from ledger left join decision using (release_id)
where arm_at is not null and (arm_ended is null or arm_ended = 'withheld') and outcome is null and state <> 'confirmed'
    and (arm_epoch < min_epoch or state in ('superseded', 'departed', 'unfit')
         or (arm_ended is null and cancel_for is not null and too_late_at is null))
"""


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), PARTS), max_size=20))
@example(history=[("departed", HUBS[:1]), ("back", HUBS[:1])])
async def test_counts_are_the_rows_after_any_history(stand: Stand, history: list[tuple[str, list[HubId]]]) -> None:
    """Whatever happens to the hubs, in whatever order: no key of any partition is off by one."""
    tables = "release, decision, ledger, tally, told, late_answer, anomaly, job, outbox, line_taken"
    async with stand.database.transaction() as tx:
        await tx.execute(f"truncate {tables}")
        await tx.execute("delete from smi.hub")
    stand.now = NOW
    await stand.enrolled(HUBS[:6])
    await stand.decide(1, Mode.RUN)
    await stand.instruct(instruction("elec", HUBS[:6]))
    await stand.tick("claim")
    await stand.hubs_say(HUBS[:6], ResponseKind.DELIVERED, epoch=1)
    stand.now = T - 12 * HOUR
    await stand.tick("claim")
    for name, hubs in history:
        await STEPS[name](stand, hubs)
        assert await stand.miscounts() == [], name
    async with stand.database.looking() as connection:
        (standing,) = await counts.read(connection, RELEASE)
    assert standing.found.hubs == await stand.states()
    assert [(standing.found.at_risk,)] == await stand.fetch(AT_RISK)


async def _waiting(stand: Stand, sessions: int) -> None:
    """Return when so many sessions wait for a lock."""
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while await stand.fetch(waiting) != [(sessions,)]:  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.01)


async def test_rows_of_a_release_and_counts_of_another_are_never_taken_in_two_orders(stand: Stand) -> None:
    """Answers have counted in the first release and wait for a row of the second. Records of the same partition come
    meanwhile, and wait for those counts: they must not hold the row that the answers need next."""
    first, second, third = hubs_of(3, 3)
    await stand.enrolled([first, second, third])
    await stand.announce(release_id=OTHER, cpl={"firmware": "NEWER", "predecessors": ("OLD", "NEW")})
    await stand.tick("jobs")

    def delivered(release_id: ReleaseId, *hubs: HubId) -> HubResponse:
        items = (ResponseItem(hub=hub, kind=ResponseKind.DELIVERED, at=NOW, epoch=1) for hub in hubs)
        return HubResponse(release_id=release_id, items=tuple(items))

    async with stand.database.transaction() as tx:
        await ledger.lock_rows(tx, OTHER, 3, [first])
        events = (delivered(RELEASE, second), delivered(OTHER, first, third))
        answers = asyncio.create_task(stand.consume(HUB_RESPONSE, *events, partition=3))
        await _waiting(stand, 1)
        records = asyncio.create_task(stand.smi_says(record(third, 2, firmware="OTHER")))
        await _waiting(stand, 2)
    await asyncio.gather(answers, records)
    assert await stand.miscounts() == []
    assert await stand.states() == {"eligible": 2, "awaiting_consent": 2, "superseded": 2}


TOUCHED = """
select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint from pg_stat_xact_user_tables
where schemaname = 'scheduler' and relname = 'ledger'
"""


async def _touched(stand: Stand, work: Callable[[Tx], Awaitable[object]]) -> int:
    """How many rows of the ledger one transaction read."""
    async with stand.database.transaction() as tx:
        before = await tx.fetchval(TOUCHED)
        await work(tx)
        return int(await tx.fetchval(TOUCHED)) - int(before)


async def test_nothing_under_the_lock_of_a_release_reads_the_ledger(stand: Stand) -> None:
    hubs = hubs_of(3, 40)
    await stand.armed(hubs)
    handlers = {topic: consume.handler for topic, consume in stand.service.consumes.items()}

    def told(outgoing: Sequence[Outgoing]) -> None:
        (event,) = [one.event for one in outgoing]
        assert isinstance(event, RolloutProgressed)
        assert (event.totals, event.at_risk) == ({HubState.ARMED: 40}, 40)

    async def store(tx: Tx) -> None:
        halt = decision(2, Mode.STOP, min_epoch=2)
        told((await handlers[ROLLOUT_DECISION](tx, batch_of(ROLLOUT_DECISION, (halt,), NOW, 0), still(NOW))).outgoing)

    async def obey(tx: Tx) -> None:
        edges = [RolloutFenced(release_id=RELEASE, edge=edge, min_epoch=2, fenced_at=NOW) for edge in EDGES]
        told((await handlers[ROLLOUT_FENCED](tx, batch_of(ROLLOUT_FENCED, edges, NOW, 0), still(NOW))).outgoing)

    async def expire(tx: Tx) -> None:
        await releases.upsert_decision(tx, decision(3, Mode.STOP, min_epoch=3))
        await tx.execute(releases.SQL["begin_fencing"], RELEASE, 3, NOW)
        told((await stand.tick_named("effective").run(tx, still(NOW + DAY))).outgoing)

    async def announce(tx: Tx) -> None:
        changed = notice(version=2, cpl={"firmware": "NEW", "predecessors": ("OLD", "OLDER")})
        await handlers[RELEASE_NOTIFIED](tx, batch_of(RELEASE_NOTIFIED, (changed,), NOW, 0), still(NOW))

    async def gauges(tx: Tx) -> None:
        (gauge,) = [gauge for gauge in stand.service.gauges if gauge.name == "chfw_rollout_hubs"]
        assert await gauge.read(tx, NOW) == [((RELEASE, "armed"), 40.0)]

    for work in (store, obey, expire, announce, gauges):
        assert await _touched(stand, work) == 0, work.__name__


async def test_the_next_armed_hubs_are_found_without_a_look_at_the_others(stand: Stand) -> None:
    hubs = hubs_of(3, 1_500)
    await stand.armed(hubs[-2:])
    await stand.load_hubs(hubs[:-2], parties=("elec", None))
    await stand.announce(version=2, cpl={"predecessors": ("OLD", "OLDER")})
    await stand.tick("jobs")
    async with stand.database.looking() as connection:
        await connection.execute("analyze ledger")
    assert await stand.states() == {"armed": 2, "eligible": 1_498}

    async def find(tx: Tx) -> None:
        found = await ledger.lock_may_fire(tx, RELEASE, None, before_epoch=2, limit=500)
        assert [row.facts.hub for row in found] == hubs[-2:]

    assert await _touched(stand, find) <= 2


async def test_a_step_of_the_job_that_dates_anew_looks_at_one_page(stand: Stand) -> None:
    """Of an old release nearly all hubs are final: a step that looks for 500 others must not read millions."""
    hubs = hubs_of(3, 60)
    await stand.enrolled(hubs)
    await stand.smi_says(*(record(hub, 2, firmware="NEW") for hub in hubs[:-1]))
    places: list[ledger.Place | None] = []
    found: list[HubId] = []

    async def step(tx: Tx) -> None:
        rows, goes_on = await ledger.lock_after(tx, RELEASE, places[-1] if places else None, limit=5, page=20)
        found.extend(row.facts.hub for row in rows)
        places.append(goes_on)

    while not places or places[-1] is not None:
        assert await _touched(stand, step) <= 45
    assert places == [(3, hubs[19]), (3, hubs[39]), (3, hubs[59]), None]
    assert found == hubs[-1:]
