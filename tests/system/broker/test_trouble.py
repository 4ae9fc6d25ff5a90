"""Bad records, bugs, servers that are away, logs that are not what they were: on both brokers alike."""

from typing import TYPE_CHECKING

import pytest

from chfw_common.kernel.instants import format_instant
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.kept import kept_headers
from chfw_common.topology import Topic
from tests.support.toy import key_of, toy_headers, toy_id
from tests.support.waiting import eventually, running

if TYPE_CHECKING:
    from tests.support.stands import Stand

pytest_plugins = ["tests.support.servers", "tests.support.databases", "tests.support.stands"]

ABSENT = b"absent"
Headers = list[tuple[str, bytes | None]]


def changed(topic: Topic, name: str, value: bytes | None) -> Headers:
    """Good headers but for one, which is another, has no value, or is absent."""
    rest: Headers = [(key, old) for key, old in toy_headers(topic, toy_id(0)) if key != name]
    return rest if value is ABSENT else [*rest, (name, value)]


BAD: dict[str, tuple[bytes | None, dict[str, bytes | None]]] = {
    "not JSON": (b"{not json", {}),
    "another model": (b'{"m": 1}', {}),
    "a wrong type of field": (b'{"n": "many"}', {}),
    "no value": (None, {}),
    "an unknown type": (b'{"n": 1}', {"ce_type": b"uk.chfw.nobody.knows.v1"}),
    "another major version": (b'{"n": 1}', {"ce_type": b"uk.chfw.toy.happened.v2"}),
    "a header that is not text": (b'{"n": 1}', {"ce_type": b"\xff\xfe"}),
    "an id that is none": (b'{"n": 1}', {"ce_id": b"17"}),
    "a time without a zone": (b'{"n": 1}', {"ce_sentat": b"2025-01-01T00:00:00"}),
    "no id": (b'{"n": 1}', {"ce_id": ABSENT}),
    "no version of CloudEvents": (b'{"n": 1}', {"ce_specversion": ABSENT}),
    "no time of sending": (b'{"n": 1}', {"ce_sentat": ABSENT}),
    "a time that UTC cannot say": (b'{"n": 1}', {"ce_sentat": b"0001-01-01T00:00:00+05:00"}),
    "an id without a value": (b'{"n": 1}', {"ce_id": None}),
    "a header of NUL and other bytes": (b"{", {"x\0y": bytes(range(256))}),
    "a header without a value": (b"{", {"x": None}),
}


SETTLED = """
with parked as (select count(*)::int as n from parked_offset)
select (select sum(beyond - first)::int from consumed_range) - n, n from parked
"""
"""What the ranges say of all records: so many were applied, so many parked."""


async def test_bad_records_are_parked_whole_and_the_partition_goes_on(stand: "Stand") -> None:
    topic, key = stand.topic, key_of(0, 4)
    await stand.put([1])
    for value, headers in BAD.values():
        made: Headers = [*toy_headers(topic, toy_id(0))]
        for name, wanted in headers.items():
            made = changed(topic, name, wanted)
        await stand.broker.append(topic, 0, key, value, made)
    await stand.broker.append(topic, 0, key, b'{"n": 2}', [])
    await stand.broker.append(topic, 0, None, b'{"n": 2}', toy_headers(topic, toy_id(0)))
    await stand.broker.append(topic, 0, key_of(1, 4), b'{"n": 2}', toy_headers(topic, toy_id(0)))
    bad = len(BAD) + 3
    await stand.put([3])
    async with running(stand.source().run()):
        await stand.reached(bad + 2)
    assert await stand.taken() == [1, 3]
    assert await stand.fetch(SETTLED) == [(2, bad)]
    parked = await stand.parked()
    assert [(offset, kind) for offset, kind, _ in parked] == [(offset, "invalid") for offset in range(1, bad + 1)]
    assert all(error for _, _, error in parked)
    kept = await stand.fetch('select topic, partition, "offset", key, value, headers from parked_record order by id')
    for row, record in zip(kept, (await stand.broker.log(topic, 0))[1:-1], strict=True):
        assert row[:5] == (topic.name, 0, record.offset, record.key, record.value)
        assert kept_headers(row[5]) == record.headers


async def test_a_handler_may_park_a_record(stand: "Stand") -> None:
    stand.toy.refuse = {2}
    await stand.put([1, 2, 3])
    async with running(stand.source().run()):
        await stand.reached(3)
    assert await stand.taken() == [1, 3]
    assert await stand.parked() == [(1, "invalid", "refused")]
    assert await stand.fetch(SETTLED) == [(2, 1)]


async def ends(stand: "Stand") -> None:
    with pytest.raises(ZeroDivisionError):
        async with running(stand.source().run()):
            await stand.reached(10)


async def test_a_bug_ends_the_process_twice_and_then_parks_its_record(stand: "Stand") -> None:
    stand.toy.bugs = {4}
    await stand.put(range(10))
    for _ in range(2):
        await ends(stand)
        assert await stand.next() == 0, "the failing transaction left something behind"
        assert await stand.tally() == {}
    async with running(stand.source().run()):
        await stand.reached(10)
    assert await stand.taken() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert [(offset, kind) for offset, kind, _ in await stand.parked()] == [(4, "unexpected")]
    assert await stand.fetch(SETTLED) == [(9, 1)]
    assert await stand.fetch("select next, failures from consume_failure") == [(0, 3)]


async def test_events_of_a_batch_taken_apart_are_those_of_its_good_records(stand: "Stand") -> None:
    stand.toy.bugs, stand.toy.out = {4}, stand.new_topic()
    await stand.put(range(6))
    for _ in range(2):
        await ends(stand)
    async with running(stand.source().run()):
        await stand.reached(6)
    assert [key for (key,) in await stand.fetch("select key from outbox order by id")] == [b"0", b"1", b"2", b"3", b"5"]


async def test_a_server_that_is_away_never_parks_anything(stand: "Stand") -> None:
    stand.toy.away = {3: 3}
    await stand.put(range(8))
    async with running(stand.source().run()):
        await stand.reached(8)
    assert await stand.taken() == list(range(8))
    assert await stand.parked() == []
    assert await stand.fetch("select * from consume_failure") == []
    assert stand.toy.away == {3: 0}


async def test_a_server_that_is_away_for_one_partition_does_not_stop_another(stand: "Stand") -> None:
    stand.toy.away = {3: 1_000_000}
    async with running(stand.source().run()):
        await stand.put(range(8), partition=0)
        await stand.put(range(10, 18), partition=1)
        await stand.reached(8, partition=1)
        assert await stand.next(partition=0) <= 3


async def test_a_failure_rolls_back_all_of_the_batch(stand: "Stand") -> None:
    stand.toy.bugs, stand.toy.out = {7}, stand.new_topic()
    await stand.put(range(8))
    await ends(stand)
    for table in ("taken", "tally", "outbox", "consumed_range", "parked_record"):
        assert await stand.fetch(f"select * from {table}") == []
    assert await stand.next() == 0


async def test_a_log_that_begins_beyond_the_position_stops_that_partition_alone(stand: "Stand") -> None:
    await stand.put(range(5), partition=0)
    await stand.put(range(10, 15), partition=1)
    async with running(stand.source().run()):
        await stand.reached(5, 0)
        await stand.reached(5, 1)
    await stand.put(range(5, 10), partition=0)
    await stand.put(range(15, 20), partition=1)
    await stand.broker.truncate(stand.topic, 0, 8)
    context = stand.context()
    async with running(stand.source(context).run()):
        await stand.reached(10, 1)
        await stand.put([99], partition=0)
        await stand.put([20], partition=1)
        await stand.reached(11, 1)
        assert await stand.next(0) == 5
    assert context.stopped == {(stand.topic.name, 0)}
    assert stand.alarmed
    assert await stand.taken(0) == list(range(5))


async def test_a_log_cut_while_it_is_read_stops_that_partition_alone(stand: "Stand") -> None:
    """The partition waits for a server while retention takes what is due."""
    stand.toy.away = {0: 2}
    await stand.put(range(5), partition=0)
    context = stand.context()
    async with running(stand.source(context).run()):

        async def tried() -> bool:
            return stand.toy.away[0] < 2

        await eventually(tried)
        await stand.broker.truncate(stand.topic, 0, 4)

        async def stopped() -> bool:
            return bool(context.stopped) or await stand.next(0) == 5

        await stand.put([10, 11], partition=1)
        await stand.reached(2, 1)
        await eventually(stopped)
    # What was fetched before the cut may still be settled; nothing was stepped over either way.
    assert (await stand.next(0), stand.alarmed) in {(0, True), (5, False)}


async def test_a_topic_made_anew_stops_and_alarms(stand: "Stand") -> None:
    await stand.put(range(5))
    async with running(stand.source().run()):
        await stand.reached(5)
    await stand.broker.recreate(stand.topic)
    await stand.put(range(100, 110))
    context = stand.context()
    async with running(stand.source(context).run()):

        async def all_stopped() -> bool:
            return len(context.stopped) == 4

        await eventually(all_stopped)
    assert stand.alarmed
    assert await stand.taken() == list(range(5))
    assert await stand.next() == 5


async def test_the_time_of_sending_reaches_the_handler(stand: "Stand") -> None:
    before = machine_now()
    await stand.put([1])
    record = (await stand.broker.log(stand.topic, 0))[0]
    assert (dict(record.headers)["ce_sentat"] or b"").decode() >= format_instant(before)
