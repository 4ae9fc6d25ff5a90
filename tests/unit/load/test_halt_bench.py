"""The halt campaign's own judgement: planted violations are counted, what a halt allows is not."""

import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import orjson
import pytest

from tests.load.halt_bench.draw import Edge, Plan, Process, draw_plans
from tests.load.halt_bench.evidence import Deed, Moment, Observed, Observer
from tests.load.halt_bench.figures import Campaign, Ran, spread
from tests.load.halt_bench.verdict import Violations, judge
from tests.load.halt_bench.wal import ANSWERS, COMMANDS, LEDGER, Change, Commit, Decoder, Row

HALT = 3
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
ROW: Row = {
    "release_id": "r", "part": "0", "hub": "1", "state": "delivered", "dist_epoch": "2", "dist_at": "t0",
    "arm_epoch": "0", "arm_counter": "0", "arm_at": None, "arm_ended": None, "outcome": None,
}  # fmt: skip


def moment(second: int) -> Moment:
    return Moment(second, BEGIN + timedelta(seconds=second))


def seen(**changes: object) -> Observed:
    """A halt that was requested at 10, stored at 11, effective at 20."""
    halted = Observed("r", HALT, requested=moment(10), fenced=moment(11), effective=moment(20))
    return replace(halted, **changes)  # type: ignore[arg-type]


def deed(second: int, *, hub: int = 1, epoch: int = HALT - 1) -> Deed:
    return Deed(hub, epoch, 5, moment(second))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"forwarded": [deed(19)]}, Violations()),
        ({"forwarded": [deed(21), deed(22, hub=2)]}, Violations(forwarded=2)),
        ({"forwarded": [deed(21, epoch=HALT)]}, Violations()),
        ({"images": [deed(19), deed(21)]}, Violations(images=1)),
        ({"activated": [deed(19)]}, Violations()),
        (
            {"activated": [deed(21), deed(21, hub=2)], "at_risk": frozenset({1}), "told_at_risk": 1},
            Violations(activated=1),
        ),
        ({"at_risk": frozenset({1, 2}), "told_at_risk": 1}, Violations(untold=1)),
        ({"activated": [deed(12), deed(13)]}, Violations(twice=1)),
        ({"claimed": [deed(10), deed(12)]}, Violations(claimed=1)),
        ({"claimed": [deed(12, epoch=HALT)], "commanded": [deed(12, epoch=HALT)]}, Violations()),
        ({"commanded": [deed(12)]}, Violations(commanded=1)),
    ],
)
def test_what_comes_too_late_is_counted_and_nothing_else(changes: dict[str, object], found: Violations) -> None:
    assert judge(seen(**changes)).violations == found


def test_the_order_of_commits_decides_and_not_their_times() -> None:
    """A clock may step back between two commits."""
    late = Deed(1, HALT - 1, 5, Moment(21, BEGIN))
    assert judge(seen(forwarded=[late])).violations == Violations(forwarded=1)


def test_steps_count_from_the_request() -> None:
    verdict = judge(seen(forwarded=[deed(9), deed(14), deed(30, epoch=HALT)]))
    assert (verdict.fenced, verdict.effective, verdict.last_command) == (1.0, 10.0, 4.0)
    assert judge(seen(forwarded=[deed(9)])).last_command == 0.0


def test_a_halt_that_never_became_effective_is_not_judged() -> None:
    with pytest.raises(ValueError, match="not effective"):
        judge(seen(effective=None))


def test_the_list_of_hubs_at_risk_is_that_of_the_commit_that_declares() -> None:
    """Hub 1 is armed before it and called back after it; hub 2 has given its CS06 up before; hub 3 was armed since."""
    armed = ROW | {"arm_epoch": "2", "arm_counter": "7", "arm_at": "t1", "state": "armed"}
    stored: Row = {"release_id": "r", "min_epoch": "3", "effective_at": None}
    observer = Observer("r", HALT, [ROW, ROW | {"hub": "2"}, ROW | {"hub": "3"}])
    observer.follow(
        [
            Commit(1, BEGIN, [Change(LEDGER, armed), Change(LEDGER, armed | {"hub": "2"})]),
            Commit(2, BEGIN, [Change(LEDGER, armed | {"hub": "2", "arm_ended": "cancelled"})]),
            Commit(3, BEGIN, [Change("scheduler.decision", stored)]),
            Commit(4, BEGIN, [Change(LEDGER, armed | {"hub": "3", "arm_epoch": "3"})]),
            Commit(5, BEGIN, [Change("scheduler.decision", stored | {"effective_at": "t2"})]),
            Commit(6, BEGIN, [Change(LEDGER, armed | {"arm_ended": "cancelled"})]),
        ]
    )
    assert observer.seen.at_risk == {1}
    assert [(one.hub, one.epoch) for one in observer.seen.claimed] == [(1, 2), (2, 2), (3, 3)]
    assert observer.seen.effective == Moment(5, BEGIN)


def test_the_number_told_is_that_of_the_event_of_this_halt() -> None:
    """An earlier event, that it is fencing, tells another number."""
    told = [("fencing", HALT, 9), ("effective", HALT, 4), ("effective", HALT - 1, 5)]
    events = [{"release_id": "r", "kind": kind, "epoch": epoch, "at_risk": number} for kind, epoch, number in told]
    rows: list[Row] = [
        {"topic": "rollout.progressed", "payload": "\\x" + orjson.dumps(event).hex()} for event in events
    ]
    observer = Observer("r", HALT, [])
    observer.follow([Commit(n, BEGIN, [Change(COMMANDS, row)]) for n, row in enumerate(rows)])
    assert observer.seen.told_at_risk == 4


def test_every_answer_of_an_edge_counts_also_a_repeat() -> None:
    message = {
        "release_id": "r",
        "items": [
            {"hub": f"{1:016x}", "kind": "activation_accepted", "epoch": 2, "counter": 7},
            {"hub": f"{2:016x}", "kind": "command_refused", "epoch": 2, "counter": 7},
        ],
    }
    row: Row = {"topic": "hub.response", "payload": "\\x" + orjson.dumps(message).hex()}
    observer = Observer("r", HALT, [])
    observer.follow([Commit(1, BEGIN, [Change(ANSWERS, row)]), Commit(2, BEGIN, [Change(ANSWERS, row)])])
    assert [(one.hub, one.moment.place) for one in observer.seen.forwarded] == [(1, 1), (1, 2)]


def test_the_log_is_read_as_postgres_writes_it() -> None:
    text = struct.pack("!ci2s", b"t", 2, b"42")
    relation = struct.pack("!cI", b"R", 9) + b"scheduler\0ledger\0" + struct.pack("!bh", 100, 2)
    columns = b"".join(struct.pack("!b", 1) + name + struct.pack("!Ii", 20, -1) for name in (b"hub\0", b"arm_at\0"))
    decoder = Decoder()
    messages = [
        struct.pack("!cqqi", b"B", 77, 1_000_000, 5),
        relation + columns,
        struct.pack("!cIch", b"U", 9, b"N", 2) + text + b"n",
    ]
    assert [decoder.take(message) for message in messages] == [None, None, None]
    ended = decoder.take(struct.pack("!cbqqq", b"C", 0, 77, 78, 1_000_000))
    assert ended == Commit(
        77, datetime(2000, 1, 1, 0, 0, 1, tzinfo=UTC), [Change(LEDGER, {"hub": "42", "arm_at": None})]
    )


def test_a_message_that_nobody_expects_is_no_evidence() -> None:
    with pytest.raises(ValueError, match="unexpected"):
        Decoder().take(b"?")


def test_a_seed_draws_the_same_runs_and_every_pair_of_faults() -> None:
    plans = draw_plans(3, 25, window=4.0)
    assert plans == draw_plans(3, 25, window=4.0) != draw_plans(4, 25, window=4.0)
    assert {(plan.process, plan.edge) for plan in plans} == set(product(Process, Edge))
    assert all(2.0 <= plan.frozen <= 30.0 and 0.0 <= plan.halt_at <= 4.0 for plan in plans)


@pytest.mark.parametrize("control", [None, "fence"])
def test_a_campaign_is_to_find_nothing_and_a_control_something(control: str | None) -> None:
    plan = Plan(0, "stop", 1.0)
    clean = Ran(plan, judge(seen(forwarded=[deed(12)])))
    broken = Ran(plan, judge(seen(forwarded=[deed(21)])))
    assert Campaign(1, 10, control, [clean]).ok is (control is None)
    assert Campaign(1, 10, control, [clean, broken]).ok is (control is not None)


def test_a_campaign_that_shows_nothing_is_not_clean() -> None:
    plan = Plan(0, "stop", 1.0)
    clean = judge(seen(forwarded=[deed(12)]))
    assert not Campaign(1, 10, None, []).ok
    assert not Campaign(1, 10, None, [Ran(plan, judge(seen()))]).ok, "no CS06 was on its way"
    assert not Campaign(1, 10, None, [Ran(plan, clean), Ran(plan, None, "it did not end")]).ok
    assert not Campaign(1, 10, None, [Ran(plan, clean), Ran(plan, clean, "Kafka says something else")]).ok


def test_the_spread_is_that_of_the_nearest_rank() -> None:
    assert spread([4.0, 1.0, 3.0, 2.0]) == {"p50": 2.0, "p99": 4.0, "max": 4.0}
    assert spread([]) == {"p50": 0.0, "p99": 0.0, "max": 0.0}
