"""The firmware of a whole estate, and of a release's hubs: pages, NDJSON and CSV that say the same (R1-4, R4-3)."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncGenerator
from typing import Any, cast

import asyncpg
import pytest

from chfw_common.kernel.ids import HubId, UserId, hub_eui64
from chfw_common.kernel.instants import format_instant, parse_instant
from chfw_common.kernel.roles import Role
from chfw_common.runtime.http.callers import Caller
from chfw_common.runtime.http.problems import Problem
from chfw_notifier.api.exports import Exports, Write, pieces
from chfw_notifier.stages import report
from chfw_notifier.store import estate
from chfw_notifier.store.estate import COLUMNS, Scope
from tests.service.notifier.estates import SINCE, Estate, fill
from tests.service.notifier.test_telling import ELEC, announce
from tests.support.release import RELEASE
from tests.support.serving import Stand, bearer

ESTATE = "/v1/estate"
ELIGIBILITY = f"/v1/releases/{RELEASE}/eligibility"
HUBS = (
    Estate(-(1 << 63), imports="elec", gas=None, state="confirmed", firmware="9.2"),
    Estate(-5, imports="elec", gas="elec", instructed=("elec",), pilot=True, wave="first"),
    Estate(1, instructed=("gas",), state="awaiting_consent"),
    Estate(2, imports="gas", gas="elec"),
    Estate(3, imports="other", gas="gas"),
    Estate(4, state=None, region="south", model="CH8"),
    Estate((1 << 63) - 1, imports=None, gas="elec", state="scheduled"),
)


async def pages(stand: Stand, url: str, party: str, limit: int) -> list[dict[str, Any]]:
    hubs: list[Any] = []
    after = None
    while True:
        query = {"limit": str(limit)} | ({"after": after} if after else {})
        page = (await stand.client.get(url, params=query, headers=bearer(party))).json()
        hubs += page["hubs"]
        after = page["next"]
        if after is None:
            return hubs


async def table(stand: Stand, url: str, party: str) -> list[dict[str, str]]:
    answer = await stand.client.get(url, headers={**bearer(party), "Accept": "text/csv"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(answer.text)))


def as_text(hub: dict[str, Any]) -> dict[str, str]:
    """A hub of a page as a line of CSV says it."""
    flags = {True: "true", False: "false", None: ""}
    return {
        name: " ".join(value) if isinstance(value, list) else flags.get(value, value) for name, value in hub.items()
    }


@pytest.mark.parametrize("url", [ESTATE, ELIGIBILITY])
async def test_pages_lines_and_csv_say_the_same(stand: Stand, url: str) -> None:
    await announce(stand)
    await fill(stand, *HUBS)
    hubs = await pages(stand, url, ELEC, 1_000)
    assert hubs
    assert all(tuple(hub) == COLUMNS for hub in hubs)
    for limit in (1, 2, 3, len(hubs)):
        assert await pages(stand, url, ELEC, limit) == hubs
    lines = await stand.client.get(url, headers={**bearer(ELEC), "Accept": "application/x-ndjson"})
    assert [json.loads(line) for line in lines.text.splitlines()] == hubs
    assert await table(stand, url, ELEC) == [as_text(hub) for hub in hubs]


async def test_the_whole_estate_with_what_the_ledger_says(stand: Stand) -> None:
    await announce(stand)
    await fill(stand, *HUBS)
    hubs = await pages(stand, ESTATE, ELEC, 1_000)
    assert [hub["hub"] for hub in hubs] == [hub_eui64(HubId(one.hub)) for one in HUBS if one.hub != 3]
    said = [(hub["roles"], hub["second_supplier"], hub["second_has_instructed"], hub["state"]) for hub in hubs]
    assert said == [
        (["IS"], False, False, "confirmed"),
        (["IS", "GS"], False, False, "eligible"),
        (["IS"], True, True, "awaiting_consent"),
        (["GS"], True, False, "eligible"),
        (["IS"], True, False, None),
        (["GS"], False, False, "scheduled"),
    ]
    assert (hubs[4]["model"], hubs[4]["region"], hubs[4]["release_id"]) == ("CH8", "south", None)
    assert [hub["pilot"] for hub in hubs] == [False, True, False, False, False, False]
    assert [hub["wave"] for hub in hubs] == [None, "first", None, None, None, None]
    assert [hub["state"] for hub in await pages(stand, ELIGIBILITY, ELEC, 2)] == [
        "confirmed", "eligible", "awaiting_consent", "eligible", "scheduled",
    ]  # fmt: skip


async def test_of_two_releases_the_open_one_is_shown_then_the_newest(stand: Stand) -> None:
    for number, release_id in enumerate(("CH-1", "CH-2", "CH-3")):
        stand.clock.at = parse_instant(f"2026-10-0{number + 1}T09:00:00Z")
        await announce(stand, key=release_id, release_id=release_id)
    await fill(stand, Estate(1, state=None), Estate(2, state=None))
    for hub, states in ((1, ("confirmed", "scheduled", "superseded")), (2, ("confirmed", "cancelled", "confirmed"))):
        rows = [Estate(hub, state=state, release_id=f"CH-{n}") for n, state in enumerate(states, start=1)]
        await fill(stand, *rows, ledger_only=True)
    shown = [(hub["release_id"], hub["state"]) for hub in await pages(stand, ESTATE, ELEC, 10)]
    assert shown == [("CH-2", "scheduled"), ("CH-3", "confirmed")]


async def test_what_a_party_instructed_before_it_left_and_came_back_does_not_count(stand: Stand) -> None:
    await announce(stand)
    await fill(stand, Estate(1, instructed=("gas",)))
    async with stand.database.transaction() as tx:
        await tx.execute("update scheduler.ledger set gas_since = '2027-01-01T00:00:00Z'")
    assert [hub["second_has_instructed"] for hub in await pages(stand, ESTATE, ELEC, 10)] == [False]


async def test_ids_and_instants_are_spelled_as_everywhere(stand: Stand) -> None:
    ids = (0, 1, -1, (1 << 63) - 1, -(1 << 63), 0x00DB123444EAB896)
    rows = await stand.fetch("select eui64(u) from unnest($1::bigint[]) with ordinality x(u, n) order by n", ids)
    assert [text for (text,) in rows] == [hub_eui64(HubId(one)) for one in ids]
    for text in ("2026-10-01T09:00:00Z", "2026-10-01T09:00:00.000120Z"):
        at = parse_instant(text)
        assert await stand.fetch("select rfc3339($1)", at) == [(format_instant(at),)]
    assert await stand.fetch("select rfc3339(null)") == [(None,)]


async def fill_many(stand: Stand, hubs: int) -> None:
    async with stand.database.transaction() as tx:
        await tx.execute(
            """insert into smi.hub (hub, part, device_type, status, status_since, manufacturer, model, hardware,
                   firmware, gbcs, region, import_party, import_user, import_since, smi_version)
               select n, 0, 'CHF', 'Commissioned', $1, 'Acme', 'CH9', 'H1', '9.1', '4.1', 'north', 'elec', 'elec-is',
                   $1, 1 from generate_series(1, $2::int) n""",
            SINCE,
            hubs,
        )


async def open_transactions(stand: Stand) -> int:
    """Sessions that hold a snapshot, or may take one, but for the one that asks."""
    rows = await stand.fetch(
        """select count(*) from pg_stat_activity
           where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null"""
    )
    return int(rows[0][0])


async def test_a_csv_file_has_each_hub_once_whatever_changes_while_it_is_read(stand: Stand) -> None:
    """A hub is shown as it was when its page was read."""
    await fill_many(stand, 5_000)
    found = bytearray()

    async def write(piece: bytes) -> None:
        if not found:
            async with stand.database.transaction() as tx:
                await tx.execute("update smi.hub set firmware = '9.2' where hub in (1, 5000)")
                await tx.execute("update smi.hub set import_party = 'other' where hub = 4999")
        found.extend(piece)

    await report.own_hubs_csv(stand.database.transaction, Scope(ELEC), write)
    hubs = list(csv.DictReader(io.StringIO(found.decode())))
    assert [hub["hub"] for hub in hubs] == [hub_eui64(HubId(n)) for n in range(1, 5_001) if n != 4_999]
    assert [hubs[0]["firmware"], hubs[-1]["firmware"]] == ["9.1", "9.2"]


@pytest.mark.parametrize("hubs", [1_999, 2_000, 2_001, 4_000])
async def test_a_csv_file_ends_with_its_last_hub(stand: Stand, hubs: int) -> None:
    await fill_many(stand, hubs)
    assert len(await table(stand, ESTATE, ELEC)) == hubs


async def test_a_slow_reader_holds_the_writer_back(stand: Stand) -> None:
    """50,000 hubs: what is not read yet stays in Postgres, but for a few pieces."""
    await fill_many(stand, 50_000)
    written = 0

    async def produce(write: Write) -> None:
        async def counted(piece: bytes) -> None:
            nonlocal written
            await write(piece)
            written += len(piece)

        await report.own_hubs_csv(stand.database.transaction, Scope(ELEC), counted)

    stream = pieces(produce)
    read = len(await anext(stream))
    for _ in range(200):
        await asyncio.sleep(0.001)
    assert written < 1_000_000
    assert await open_transactions(stand) == 0, "a reader that is slow holds back vacuum"
    lines = 0
    async for piece in stream:
        read += len(piece)
        lines += piece.count(b"\n")
    assert read == written > 3_000_000


async def test_who_stops_reading_frees_the_place() -> None:
    exports = Exports()
    ended = asyncio.Event()

    async def endless(write: Write) -> None:
        try:
            while True:
                await write(b"x")
        finally:
            ended.set()

    body = cast("AsyncGenerator[bytes, None]", exports.csv(ELEC, endless, "x").body_iterator)
    assert await anext(body) == b"x"
    with pytest.raises(Problem) as refused:
        exports.csv(ELEC, endless, "x")
    assert refused.value.code == "too_many_exports"
    await body.aclose()
    await asyncio.wait_for(ended.wait(), 1)
    exports.csv(ELEC, endless, "x")


async def test_what_fails_midway_is_not_taken_for_the_end() -> None:
    async def broken(write: Write) -> None:
        await write(b"x")
        raise OSError("away")

    stream = pieces(broken)
    assert await anext(stream) == b"x"
    with pytest.raises(OSError, match="away"):
        await anext(stream)


async def test_only_suppliers_have_an_estate(stand: Stand) -> None:
    assert (await stand.client.get(ESTATE, headers=bearer("dcc", role="DCC"))).status_code == 403
    for accept in ("text/csv", "application/json"):
        unknown = await stand.client.get("/v1/releases/x/eligibility", headers={**bearer(ELEC), "Accept": accept})
        assert unknown.status_code == 404
    assert await table(stand, ESTATE, "nobody") == []


async def test_the_notifier_s_own_role_may_read_what_the_lists_need(chfw_dsn: str) -> None:
    connection = await asyncpg.connect(chfw_dsn)
    try:
        await connection.execute("set role chfw_notifier; set search_path to notifier")
        async with connection.transaction():
            for scope in (Scope(ELEC), Scope(ELEC, RELEASE)):
                assert await estate.page(connection, scope, after=None, limit=1) == []
            who = Caller(ELEC, UserId("elec-is"), Role.IMPORT_SUPPLIER)
            assert await estate.pilot_candidates(connection, who, RELEASE, regions=None, models=None) == []
            assert await estate.pilot_size(connection, RELEASE, ELEC) == 0
    finally:
        await connection.close()
