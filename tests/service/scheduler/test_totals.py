"""Counts kept with the rows, on a real Postgres: exact after any history, read in place of the ledger, told in time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chfw_common.events.command import CommandKind, HubCancel
from chfw_common.events.response import HubResponse, ResponseItem, ResponseKind
from chfw_common.events.rollout_progress import ProgressKind, RolloutProgressed
from chfw_common.kernel.hubs import DeviceStatus
from chfw_common.kernel.ids import HubId, ReleaseId
from chfw_common.kernel.rollout import AnswerKind, HubState, Mode
from chfw_common.runtime.errors import TransientError
from chfw_common.runtime.outbox import write_outbox
from chfw_common.runtime.service import Tx
from chfw_common.topology import HUB_RESPONSE, RELEASE_NOTIFIED, ROLLOUT_DECISION, ROLLOUT_FENCED
from chfw_scheduler.store import counts, ledger, releases
from tests.service.scheduler.stand import HOUR, Stand, T, alert, hubs_of, instruction, record
from tests.support.release import DAY, NOW, RELEASE, decision, notice
from tests.support.serving import batch_of
from tests.support.times import still

OTHER = ReleaseId("CH-9-3")
SECOND = timedelta(seconds=1)
Told = tuple[ProgressKind, int, int]


async def told(stand: Stand) -> list[Told]:
    """Kind, epoch and count at risk of what was told."""
    return [(event.kind, event.epoch, event.at_risk) for event in await stand.published(RolloutProgressed)]


async def miscounts(stand: Stand) -> list[counts.Miscount]:
    async with stand.database.looking() as connection:
        return await counts.audit(connection)


# --- exact ---------------------------------------------------------------------------------------------------------

Step = Callable[[Stand, list[HubId]], Awaitable[object]]


async def _counters(stand: Stand, column: str, hubs: list[HubId]) -> dict[HubId, int]:
    return {HubId(hub): n for hub, n in await stand.fetch(f"select hub, {column} from ledger where hub = any($1)", hubs)}


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
        await stand.smi_says(
            *(record(hub, 1, cause=alert(known.get(hub, 0), outcome, stand.now)) for hub in hubs)
        )

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
    and (arm_epoch < min_epoch or state in ('superseded', 'departed'))
"""


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), PARTS), max_size=20))
async def test_counts_are_the_rows_after_any_history(stand: Stand, history: list[tuple[str, list[HubId]]]) -> None:
    """Whatever happens to the hubs, in whatever order: no key of any partition is off by one."""
    tables = "release, decision, ledger, tally, told, late_answer, anomaly, job, outbox"
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
        assert await miscounts(stand) == [], name
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
    assert await miscounts(stand) == []
    assert await stand.states() == {"eligible": 2, "awaiting_consent": 2, "superseded": 2}


# --- nothing scans -------------------------------------------------------------------------------------------------

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

    async def store(tx: Tx) -> None:
        batch = batch_of(ROLLOUT_DECISION, (decision(2, Mode.STOP, min_epoch=2),), NOW, 0)
        outcome = await handlers[ROLLOUT_DECISION](tx, batch, still(NOW))
        (event,) = [one.event for one in outcome.outgoing]
        assert isinstance(event, RolloutProgressed)
        assert (event.totals, event.at_risk) == ({HubState.ARMED: 40}, 40)
        await write_outbox(tx, outcome.outgoing, "test", NOW)

    async def expire(tx: Tx) -> None:
        assert (await stand.tick_named("effective").run(tx, still(NOW + DAY))).outgoing

    async def announce(tx: Tx) -> None:
        changed = notice(version=2, cpl={"firmware": "NEW", "predecessors": ("OLD", "OLDER")})
        await handlers[RELEASE_NOTIFIED](tx, batch_of(RELEASE_NOTIFIED, (changed,), NOW, 0), still(NOW))

    async def gauges(tx: Tx) -> None:
        (gauge,) = [gauge for gauge in stand.service.gauges if gauge.name == "chfw_rollout_hubs"]
        assert await gauge.read(tx, NOW) == [((RELEASE, "armed"), 40.0)]

    for work in (store, expire, announce, gauges):
        assert await _touched(stand, work) == 0, work.__name__
    assert ROLLOUT_FENCED in handlers


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


# --- told until it is 0 --------------------------------------------------------------------------------------------


async def test_the_count_at_risk_is_told_until_it_is_0(stand: Stand) -> None:
    """At the pace while it falls, at once when the last hub has answered, and then no more."""
    hubs = hubs_of(3, 6)
    await stand.armed(hubs)
    await stand.tick("report")
    assert await told(stand) == [(ProgressKind.TOTALS, 0, 0)]
    await stand.decide(2, Mode.STOP, halt=2)
    await stand.edge_obeys("North", 2)
    await stand.edge_obeys("South", 2)
    await stand.tick("call_back")
    cancels = await stand.commands(CommandKind.CANCEL)
    assert await told(stand) == [(ProgressKind.FENCING, 2, 6), (ProgressKind.EFFECTIVE, 2, 6)]

    async def answer(some: list[HubId]) -> None:
        await stand.hubs_say(some, ResponseKind.CANCEL_ACCEPTED, counter=lambda hub: cancels[hub].counter)

    await answer(hubs[:2])
    assert await stand.tick("report") == 0
    stand.now += 10 * SECOND
    assert await stand.tick("report", 1) == 1
    await answer(hubs[2:5])
    assert await stand.tick("report") == 0
    assert await told(stand) == [(ProgressKind.AT_RISK, 2, 4)]
    await answer(hubs[5:])
    await stand.tick("report")
    (last,) = await stand.published(RolloutProgressed)
    assert (last.kind, last.epoch, last.at_risk) == (ProgressKind.ALL_FINAL, 2, 0)
    assert last.totals == {HubState.CANCELLED: 6}
    stand.now += 30 * DAY
    assert await stand.tick("report") == 0


async def test_a_pause_comes_down_to_0_although_others_are_armed_after_it(stand: Stand) -> None:
    """What was armed since the halt stands, so it is not at risk."""
    old, new = hubs_of(3, 1), hubs_of(3, 2)[1:]
    await stand.armed(old)
    await stand.load_hubs(new, parties=("elec", None))
    await stand.instruct(instruction("elec", new))
    await stand.decide(2, Mode.PAUSE, halt=2)
    await stand.decide(3, Mode.RUN, halt=2)
    await stand.tick("claim")
    await stand.hubs_say(new, ResponseKind.DELIVERED, epoch=3)
    await stand.settle()
    cancels = await stand.commands(CommandKind.CANCEL)
    await told(stand)
    await stand.hubs_say(old, ResponseKind.CANCEL_ACCEPTED, counter=lambda hub: cancels[hub].counter)
    await stand.tick("report")
    assert await told(stand) == [(ProgressKind.AT_RISK, 2, 0)]
    assert (await stand.states())["arming"] >= 1


# --- out of the release, and armed ---------------------------------------------------------------------------------

OUT = {"superseded": {"firmware": "OTHER"}, "departed": {"status": DeviceStatus.DECOMMISSIONED}}


@pytest.mark.parametrize("state", sorted(OUT))
@pytest.mark.parametrize("withheld", [False, True], ids=["armed", "withheld by an edge"])
async def test_an_armed_hub_that_leaves_the_release_is_called_back(stand: Stand, state: str, withheld: bool) -> None:
    """It counts at risk until it has answered, whatever the decision."""
    (hub,) = hubs_of(3, 1)
    counters = await stand.armed([hub])
    if withheld:
        async with stand.database.transaction() as tx:
            await tx.execute("update ledger set arm_accepted_at = null")
        await stand.hubs_say([hub], ResponseKind.COMMAND_REFUSED, counter=counters[hub], reason="expired")
        assert await stand.states() == {"delivered": 1}
    await stand.smi_says(record(hub, 2, **OUT[state]))  # type: ignore[arg-type]
    cancel = (await stand.commands(CommandKind.CANCEL))[hub]
    assert cancel.cancels == counters[hub]
    assert await stand.states() == {state: 1}
    await stand.smi_says(record(hub, 3, **OUT[state]))  # type: ignore[arg-type]
    assert await stand.commands(CommandKind.CANCEL) == {}
    stand.now += 10 * SECOND
    await stand.tick("report")
    assert (await told(stand))[-1][2] == 1
    await stand.hubs_say([hub], ResponseKind.CANCEL_ACCEPTED, counter=cancel.counter)
    await stand.tick("report")
    assert await told(stand) == [(ProgressKind.AT_RISK, 0, 0)]
    assert await miscounts(stand) == []


async def test_a_hub_that_the_image_does_not_fit_any_more_is_called_back(stand: Stand) -> None:
    """A later notice takes its version off the list of predecessors: the job that derives rows anew calls it back."""
    (hub,) = hubs_of(3, 1)
    counters = await stand.armed([hub])
    await stand.announce(version=2, cpl={"predecessors": ("OLDER",)})
    await stand.settle()
    assert await stand.states() == {"superseded": 1}
    assert (await stand.commands(CommandKind.CANCEL))[hub].cancels == counters[hub]


async def test_a_cancel_of_a_hub_that_leaves_waits_for_a_decision_that_is_being_stored(stand: Stand) -> None:
    """It is sent under the decision in force: while one is being stored the batch is tried again, and holds no lock."""
    (hub,) = hubs_of(3, 1)
    await stand.armed([hub])
    gone = record(hub, 2, firmware="OTHER")
    async with stand.database.transaction() as tx:
        await releases.own_release(tx, RELEASE)
        with pytest.raises(TransientError):
            await stand.smi_says(gone)
        await tx.execute("update decision set epoch = 7")
    await stand.smi_says(gone)
    (cancel,) = await stand.published(HubCancel)
    assert cancel.epoch == 7


# --- totals of a running release -----------------------------------------------------------------------------------


async def test_totals_of_a_running_release_are_told_at_the_pace_and_once_at_the_end(stand: Stand) -> None:
    hubs = hubs_of(3, 4)
    await stand.enrolled(hubs)
    assert await stand.tick("report") == 0
    stand.now = NOW + HOUR
    await stand.tick("report")
    (first,) = await stand.published(RolloutProgressed)
    assert (first.kind, first.epoch, first.at, first.totals) == (
        ProgressKind.TOTALS, 0, stand.now, {HubState.ELIGIBLE: 4},
    )  # fmt: skip
    stand.now += DAY
    assert await stand.tick("report") == 0
    await stand.instruct(instruction("elec", hubs))
    await stand.tick("report")
    await stand.decide(1, Mode.RUN)
    await stand.tick("claim")
    stand.now += HOUR - SECOND
    assert await stand.tick("report") == 0
    stand.now += SECOND
    await stand.tick("report")
    events = await stand.published(RolloutProgressed)
    assert [event.totals for event in events] == [{HubState.SCHEDULED: 4}, {HubState.DISTRIBUTING: 4}]
    await stand.smi_says(*(record(hub, 2, firmware="NEW") for hub in hubs))
    await stand.tick("report")
    (last,) = await stand.published(RolloutProgressed)
    assert (last.kind, last.totals) == (ProgressKind.ALL_FINAL, {HubState.CONFIRMED: 4})
    stand.now += 10 * DAY
    assert await stand.tick("report") == 0
