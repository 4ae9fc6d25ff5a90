"""Pure parts of the runtime: positions, chunks, named locks, what counts as transient, the catalogue of metrics."""

import asyncpg
import pytest
from prometheus_client import generate_latest

from chfw_common.kernel.ids import HubId, hub_key
from chfw_common.runtime.advisory import lock_key
from chfw_common.runtime.errors import PositionError, TransientError
from chfw_common.runtime.metrics import ALARMS, GAUGES, Metrics
from chfw_common.runtime.positions import LogState, check_position
from chfw_common.runtime.service import Outgoing, hub_events
from chfw_common.runtime.transient import is_transient, transient_as_error
from chfw_common.topology import TOPICS
from tests.support.toy import ToyHappened, toy_topic

TOPIC = toy_topic("toy.happened")


@pytest.mark.parametrize(("due", "good"), [(9, False), (10, True), (15, True), (20, True), (21, False)])
def test_a_position_lies_in_the_log_or_just_past_its_end(due: int, good: bool) -> None:
    log = LogState("id", begin=10, end=20)
    if good:
        check_position("t", 0, due, "id", log)
        return
    with pytest.raises(PositionError, match=f"offset {due} is due, the log holds 10 up to 20"):
        check_position("t", 0, due, "id", log)


def test_a_position_counts_on_one_topic_only() -> None:
    with pytest.raises(PositionError, match="counted on topic old, the cluster has new"):
        check_position("t", 0, 0, "old", LogState("new", 0, 0))


def chunked(rows: list[tuple[int, HubId, int]]) -> list[Outgoing]:
    return hub_events(TOPIC, rows, lambda items: ToyHappened(n=len(items)))


def test_chunks_hold_at_most_500_hubs_of_one_partition_in_order() -> None:
    rows = [(n % 3, HubId(n), n) for n in range(3_003)]
    chunks = chunked(rows)
    assert [(out.partition, out.event.model_dump()["n"]) for out in chunks] == [
        (partition, size) for partition in range(3) for size in (500, 500, 1)
    ]
    first = [hub_key(HubId(n)) for n in (0, 1_500, 3_000)]
    assert [out.key for out in chunks[:3]] == first, "the key is that of the first hub"


def test_no_hubs_make_no_chunks() -> None:
    assert chunked([]) == []


def test_locks_are_known_by_service_kind_and_name() -> None:
    keys = {lock_key(s, w, n) for s in ("smi", "scheduler") for w in ("tick", "relay") for n in ("0", "1")}
    assert len(keys) == 8
    assert all(-(2**63) <= key < 2**63 for key in keys)
    assert lock_key("smi", "tick", "0") == lock_key("smi", "tick", "0")


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (TransientError("away"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (asyncpg.DeadlockDetectedError("x"), True),
        (asyncpg.SerializationError("x"), True),
        (asyncpg.LockNotAvailableError("x"), True),
        (asyncpg.AdminShutdownError("x"), True),
        (asyncpg.CannotConnectNowError("x"), True),
        (asyncpg.DiskFullError("x"), True),
        (asyncpg.InterfaceError("connection is closed"), True),
        (asyncpg.InterfaceError("another operation is in progress"), False),
        (asyncpg.UniqueViolationError("x"), False),
        (asyncpg.UndefinedTableError("x"), False),
        (ValueError(), False),
        (ZeroDivisionError(), False),
    ],
)
async def test_what_is_waited_out(error: Exception, transient: bool) -> None:
    assert is_transient(error) == transient
    with pytest.raises(TransientError if transient else type(error)):
        async with transient_as_error():
            raise error


def test_every_metric_is_exposed_from_the_start() -> None:
    text = generate_latest(Metrics("smi", TOPICS).registry).decode()
    for kind in ALARMS:
        assert f'chfw_alarm{{kind="{kind}"}} 0.0' in text
    for topic in TOPICS:
        assert f'chfw_consumed_records_total{{outcome="parked",topic="{topic.name}"}} 0.0' in text
    for name in GAUGES:
        assert f"# HELP {name} " in text


def test_a_gauge_forgets_series_that_are_gone() -> None:
    metrics = Metrics("smi", ())
    metrics.read("chfw_outbox_rows", [(("0",), 4), (("1",), 5)])
    metrics.read("chfw_outbox_rows", [(("1",), 6)])
    assert metrics.registry.get_sample_value("chfw_outbox_rows", {"lane": "0"}) is None
    assert metrics.registry.get_sample_value("chfw_outbox_rows", {"lane": "1"}) == 6


def test_a_gauge_without_labels_is_set() -> None:
    metrics = Metrics("smi", ())
    metrics.read("chfw_jobs_open", [((), 3)])
    assert metrics.registry.get_sample_value("chfw_jobs_open") == 3


def test_an_alarm_outside_the_catalogue_is_refused() -> None:
    with pytest.raises(ValueError, match="no alarm is called fire"):
        Metrics("smi", ()).alarm("fire", on=True)


def test_a_metric_outside_the_catalogue_is_refused() -> None:
    with pytest.raises(KeyError):
        Metrics("smi", ()).read("chfw_unheard_of", [])
