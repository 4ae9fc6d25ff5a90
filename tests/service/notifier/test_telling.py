"""The notifier on a real Postgres: everybody is told once, in an order without gaps, and only what is theirs."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from chfw_common.events.progressed import HubProgress, HubProgressed
from chfw_common.events.request import RequestProgressed
from chfw_common.events.rollout_progress import ProgressKind, RolloutProgressed
from chfw_common.events.smi import CauseKind, Responsible, SmiCause, SmiHub, SmiUpdated
from chfw_common.kernel.coarse import QUARTER_HOUR
from chfw_common.kernel.hubs import DeviceStatus, DeviceType
from chfw_common.kernel.ids import HubId, PartyId, UserId, hub_eui64
from chfw_common.kernel.instants import format_instant
from chfw_common.kernel.roles import Role
from chfw_common.kernel.rollout import AnswerKind, Group, HubState, Mode
from chfw_common.kernel.waves import Wave
from chfw_common.runtime.http.waves import show_waves
from chfw_common.runtime.service import EVENT_BYTES, Batch, Received
from chfw_common.topology import (
    HUB_PROGRESSED,
    REQUEST_PROGRESSED,
    ROLLOUT_DECISION,
    ROLLOUT_PROGRESSED,
    SMI_UPDATED,
)
from tests.support.release import DAY, NOW, RELEASE, WIDE, decision, longest_waves
from tests.support.serving import Stand, bearer
from tests.support.times import still

ELEC, GAS, GONE = PartyId("elec"), PartyId("gas"), PartyId("gone")
BODY: dict[str, Any] = {
    "release_id": RELEASE,
    "cpl": {"manufacturer": "Acme", "model": "CH9", "hardware": ["H1"], "firmware": "9.2", "image_hash": "ab" * 32},
    "kind": "planned",
    "severity": "low",
    "priority": 3,
    "note_reference": "RN-9-2",
    "automatic_date": "2027-03-31T12:00:00Z",
    "may_fit_no_hub": True,
}


WAVE = {"name": "first", "opens": "2026-12-01T00:00:00Z", "automatic_date": "2027-01-31T00:00:00Z"}


async def announce(stand: Stand, key: str = "k1", **changes: Any) -> Any:
    headers = {**bearer("dcc", role="DCC"), "Idempotency-Key": f'"{key}"'}
    return await stand.client.post("/v1/releases", json={**BODY, **changes}, headers=headers)


async def gathered(stand: Stand, span: timedelta = QUARTER_HOUR) -> None:
    """Time goes on until what was gathered is told."""
    stand.clock.at += span
    await stand.work()


async def feed(stand: Stand, party: str, role: str = "IS", limit: int = 2) -> list[dict[str, Any]]:
    """The whole feed of a Party, page by page; checks that its numbers have no gaps."""
    events: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        query = {"limit": str(limit)} | ({"after": after} if after else {})
        page = (await stand.client.get("/v1/events", params=query, headers=bearer(party, role=role))).json()
        if not page["events"]:
            break
        events += page["events"]
        after = page["next"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    return events


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["kind"] for event in events]


def smi_hub(hub: int, kind: CauseKind, *parties: str) -> SmiHub:
    roles = (Role.IMPORT_SUPPLIER, Role.GAS_SUPPLIER)
    return SmiHub(
        hub=HubId(hub),
        smi_version=1,
        device_type=DeviceType.CHF,
        status=DeviceStatus.COMMISSIONED,
        manufacturer="Acme",
        model="CH9",
        hardware="H1",
        firmware="9.2",
        gbcs="4.1",
        region="north",
        responsible=tuple(
            Responsible(party=PartyId(party), user_id=UserId(f"{party}-user"), role=role, since=NOW)
            for party, role in zip(parties, roles, strict=False)
        ),
        cause=SmiCause(kind=kind, at=NOW, release_id=RELEASE, counter=1, outcome=0),
    )


def progressed(*items: HubProgress) -> HubProgressed:
    return HubProgressed(release_id=RELEASE, firmware="9.2", items=items)


def item(hub: int, version: int = 1, **changes: Any) -> HubProgress:
    fields = {"state": HubState.AWAITING_CONSENT, "answers": {ELEC: AnswerKind.INSTRUCT, GAS: None}, **changes}
    return HubProgress(hubs={HubId(hub): version}, **fields)


async def test_a_release_is_announced_once_and_the_notice_says_its_dates(stand: Stand) -> None:
    answer = await announce(stand)
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/releases/{RELEASE}")
    body = answer.json()
    assert body.pop("fit") == {"hubs": 0, "of_model": 0, "unfit": {}, "pilot_places": {}}
    assert body["cut_off"] == "2027-02-28T23:59:59.999999Z"
    assert body["pilot_opens"] == "2026-10-15T09:00:00Z"
    assert (body["mode"], body["epoch"], body["version"], body["instruction_possible"]) == ("held", 0, 1, True)
    again = await announce(stand)
    assert (again.json(), again.headers["idempotent-replayed"]) == (answer.json(), "true")
    assert (await announce(stand, priority=1)).json()["code"] == "reused_key"
    assert (await announce(stand, key="k2")).json()["code"] == "release_exists"
    assert await stand.fetch("select count(*) from outbox") == [(1,)]
    for role in ("IS", "GS", "CSP", "DCC", "PANEL"):
        found = await stand.client.get(f"/v1/releases/{RELEASE}", headers=bearer("someone", role=role))
        places = 1 if role in {"IS", "GS"} else None
        assert found.json() == {**body, "pilot_places": places}
    listing = await stand.client.get("/v1/releases", headers=bearer("elec"))
    assert listing.json() == {"releases": [{**body, "pilot_places": 1}]}


async def test_refusals_of_a_notice(stand: Stand) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"automatic_date": "2027-04-01T09:00:01Z"}, "date_too_late"),
        ({"automatic_date": "2026-10-01T09:00:00Z"}, "date_in_past"),
        ({"pilot_closes": "2027-03-01T00:00:00Z"}, "pilot_after_cut_off"),
        ({"pilot_opens": "2026-12-01T00:00:00Z"}, "pilot_order"),
        ({"cpl": {**BODY["cpl"], "state": "Expired"}}, "cpl_not_active"),
        ({"waves": [{**WAVE, "opens": WAVE["automatic_date"]}]}, "wave_order"),
        ({"waves": [WAVE, {**WAVE, "name": "second"}]}, "wave_no_soak"),
        ({"waves": [{**WAVE, "automatic_date": "2027-04-01T00:00:00Z"}]}, "wave_after_date"),
        ({"waves": [{**WAVE, "share_below": 10_001}]}, "invalid_request"),
        ({"waves": [{**WAVE, "share_below": True}]}, "invalid_request"),
        ({"release_id": "a/b"}, "invalid_request"),
        ({"surprise": 1}, "invalid_request"),
    ]
    for changes, code in wrong:
        answer = await announce(stand, **changes)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    short = await announce(stand, automatic_date="2026-10-20T00:00:00Z")
    assert (short.status_code, short.json()["instruction_possible"]) == (201, False)


async def test_the_longest_notice_is_an_event_that_may_be_sent(stand: Stand) -> None:
    text, texts = WIDE * 200, [WIDE * 200] * 200
    cpl = dict.fromkeys(("manufacturer", "model", "firmware"), text) | dict.fromkeys(
        ("hardware", "predecessors", "gbcs_versions"), texts
    )
    answer = await announce(stand, cpl={**BODY["cpl"], **cpl}, note_reference=text, waves=longest_waves())
    assert answer.status_code == 201
    ((size,),) = await stand.fetch("select length(payload) from outbox")
    assert 600_000 < size <= EVENT_BYTES
    for changes in ({"cpl": {**BODY["cpl"], "hardware": ["x"] * 201}}, {"waves": longest_waves(regions=600)}):
        assert (await announce(stand, key="k2", **changes)).json()["code"] == "invalid_request"


async def test_the_notice_says_the_waves_in_force(stand: Stand) -> None:
    body = (await announce(stand, waves=[{**WAVE, "regions": ["North"], "share_below": 500}])).json()
    shown = {**WAVE, "regions": ["North"], "share_from": 0, "share_below": 500, "cut_off": "2026-12-31T00:00:00Z"}
    assert body["waves"] == [shown]
    ((payload,),) = await stand.fetch("select payload from outbox")
    assert [wave["name"] for wave in json.loads(payload)["waves"]] == ["first"]
    moved = Wave("first", NOW + 90 * DAY, NOW + 120 * DAY)
    await stand.consume(ROLLOUT_DECISION, decision(1, Mode.HELD, waves=(moved,)))
    found = (await stand.client.get(f"/v1/releases/{RELEASE}", headers=bearer("elec"))).json()
    (told,) = [event["data"] for event in await feed(stand, "dcc", "DCC") if event["kind"] == "rollout_decision"]
    assert found["waves"] == told["waves"] == show_waves([moved])


async def test_everybody_gets_the_notice_also_who_comes_later(stand: Stand) -> None:
    await stand.consume(SMI_UPDATED, SmiUpdated(items=(smi_hub(1, CauseKind.LOAD, "elec", "gas"),)))
    await announce(stand)
    await announce(stand, key="k2", release_id="CH-9-3")
    await stand.consume(SMI_UPDATED, SmiUpdated(items=(smi_hub(1, CauseKind.LOAD, "elec", "late"),)))
    for party, role in (("elec", "IS"), ("gas", "GS"), ("late", "GS"), ("dcc", "DCC"), ("csp", "CSP")):
        told = await feed(stand, party, role)
        assert [event["release_id"] for event in told] == [RELEASE, "CH-9-3"]
        assert set(kinds(told)) == {"release_notified"}


async def test_a_party_that_joins_while_a_release_is_announced_misses_nothing(stand: Stand) -> None:
    joins = [
        stand.consume(SMI_UPDATED, SmiUpdated(items=(smi_hub(n, CauseKind.LOAD, f"p{n}", f"q{n}"),))) for n in range(8)
    ]
    await asyncio.gather(*joins[:4], announce(stand), *joins[4:])
    for n in range(8):
        assert kinds(await feed(stand, f"p{n}")) == ["release_notified"]


async def test_each_party_is_told_its_own_view_once(stand: Stand) -> None:
    event = progressed(item(1), item(2, answers={ELEC: None}), item(3, answers={GAS: None}, lapsed=(GONE,)))
    await stand.consume(HUB_PROGRESSED, event)
    await gathered(stand)
    await stand.consume(HUB_PROGRESSED, event)
    await gathered(stand)
    (elec,), (gas,), (gone,) = [await feed(stand, party) for party in (ELEC, GAS, GONE)]
    assert [[hub[-2:] for hub in view["hubs"]] for view in elec["data"]["progress"]] == [["01"], ["02"]]
    assert [view["second_has_instructed"] for view in gas["data"]["progress"]] == [True, False]
    assert gone["data"]["progress"] == [{"hubs": ["00-00-00-00-00-00-00-03"], "lapsed": True}]
    assert "gas" not in json.dumps(elec)
    assert "elec" not in json.dumps(gas)


async def test_a_former_supplier_is_not_told_of_every_later_step(stand: Stand) -> None:
    for version in (1, 2, 3):
        state = (HubState.SCHEDULED, HubState.DISTRIBUTING, HubState.DELIVERED)[version - 1]
        changed = item(3, version, state=state, answers={GAS: None}, lapsed=(GONE,))
        async with stand.database.transaction() as tx:
            handler = stand.service.consumes[HUB_PROGRESSED].handler
            await handler(tx, batch_of(version, progressed(changed)), still(stand.clock.at))
        await gathered(stand)
    assert len(await feed(stand, GONE)) == 1
    assert len(await feed(stand, GAS, "GS")) == 3


def batch_of(number: int, event: HubProgressed) -> Any:
    """A batch of one event with an id of its own."""
    return Batch(HUB_PROGRESSED.name, 0, (Received(number, UUID(int=number), NOW, event),))


def request(party: PartyId, request_id: str = "r-1", **changes: Any) -> RequestProgressed:
    fields: dict[str, Any] = {
        "party_seq": 1,
        "kind": AnswerKind.INSTRUCT,
        "group": Group.SAFE_LAUNCH,
        "activate_at": None,
        "received_at": NOW,
        "entries": 5_000,
    }
    return RequestProgressed(request_id=request_id, release_id=RELEASE, party=party, **{**fields, **changes})


async def test_receipts_alerts_decisions_and_totals_reach_whom_they_concern(stand: Stand) -> None:
    await stand.consume(SMI_UPDATED, SmiUpdated(items=(smi_hub(1, CauseKind.LOAD, "elec", "gas"),)))
    await announce(stand)
    received = request(ELEC)
    totals = RolloutProgressed(
        release_id=RELEASE, kind=ProgressKind.EFFECTIVE, epoch=1, at=NOW, totals={HubState.ARMED: 3}, at_risk=3
    )
    for _ in range(2):
        await stand.consume(REQUEST_PROGRESSED, received)
        await stand.consume(ROLLOUT_DECISION, decision(1, Mode.PILOT), decision(2, Mode.PAUSE))
        await stand.consume(SMI_UPDATED, SmiUpdated(items=(smi_hub(1, CauseKind.ALERT, "elec", "gas"),)))
        await stand.consume(ROLLOUT_PROGRESSED, totals)
        await gathered(stand)
    common = ["rollout_decision", "rollout_decision"]
    assert kinds(await feed(stand, "elec")) == [
        "release_notified", "instruction_received", *common, "rollout_progressed", "smi_updated",
    ]  # fmt: skip
    assert kinds(await feed(stand, "gas")) == ["release_notified", *common, "rollout_progressed", "smi_updated"]
    assert kinds(await feed(stand, "dcc", "DCC")) == ["release_notified", *common, "rollout_progressed"]
    release = (await stand.client.get(f"/v1/releases/{RELEASE}", headers=bearer("elec"))).json()
    assert (release["mode"], release["epoch"]) == ("pause", 2)


async def test_the_count_at_risk_is_told_until_it_is_0(stand: Stand) -> None:
    await announce(stand)
    events = [
        RolloutProgressed(
            release_id=RELEASE,
            kind=ProgressKind.AT_RISK,
            epoch=2,
            at=NOW,
            totals={HubState.CANCELLED: 3 - at_risk, HubState.CANCELLING: at_risk},
            at_risk=at_risk,
        )
        for at_risk in (3, 1, 0)
    ]
    await stand.consume(ROLLOUT_PROGRESSED, *events)
    told = [event["data"] for event in await feed(stand, "dcc", "DCC") if event["kind"] == "rollout_progressed"]
    assert [(data["milestone"], data["at_risk"]) for data in told] == [("at_risk", 3), ("at_risk", 1), ("at_risk", 0)]


async def test_feeds_have_no_gaps_whoever_writes_at_once(stand: Stand) -> None:
    """What is gathered at once by several, and released while others gather, is told once."""
    events = [progressed(item(n)) for n in range(20)]
    await stand.consume(HUB_PROGRESSED, *events[:1])

    async def one(number: int) -> None:
        async with stand.database.transaction() as tx:
            at = NOW + number % 3 * QUARTER_HOUR
            await stand.service.consumes[HUB_PROGRESSED].handler(tx, batch_of(number, events[number]), still(at))

    stand.clock.at = NOW + 9 * QUARTER_HOUR
    await asyncio.gather(*(one(number) for number in (*range(20), *range(10))), stand.work(), stand.work())
    await stand.work()
    for party, role in ((ELEC, "IS"), (GAS, "GS")):
        told = await feed(stand, party, role, limit=7)
        hubs = [hub for event in told for view in event["data"]["progress"] for hub in view["hubs"]]
        assert sorted(set(hubs)) == [hub_eui64(HubId(n)) for n in range(20)]
        assert len(hubs) <= 21, "hub 0 is told of by two events, each other one by one and its repeats"
    assert await stand.fetch("select count(*) from gathered") == [(0,)]


def rows(events: list[dict[str, Any]]) -> list[list[tuple[str, list[str]]]]:
    """What the rows of a feed tell of hubs: the states and the ends of the ids."""
    told = [event["data"]["progress"] for event in events if event["kind"] == "hub_progressed"]
    return [[(view["state"], [hub[-2:] for hub in view["hubs"]]) for view in views] for views in told]


async def test_rows_show_nothing_of_their_causes(stand: Stand) -> None:
    """Events of one quarter of an hour are one row, sorted by hub, with its end as their time; stages stay in order."""
    both: dict[PartyId, AnswerKind | None] = {ELEC: AnswerKind.INSTRUCT, GAS: AnswerKind.INSTRUCT}
    stand.clock.at = NOW + timedelta(seconds=7)
    await stand.consume(HUB_PROGRESSED, progressed(item(5)), progressed(item(2)), progressed(item(9)))
    stand.clock.at = NOW + timedelta(minutes=14)
    later = (item(n, 2, state=HubState.SCHEDULED, answers=both) for n in (9, 2))
    async with stand.database.transaction() as tx:
        handler = stand.service.consumes[HUB_PROGRESSED].handler
        for number, scheduled in enumerate(later, start=50):
            await handler(tx, batch_of(number, progressed(scheduled)), still(stand.clock.at))
    assert await feed(stand, ELEC) == []
    await gathered(stand)
    told = await feed(stand, ELEC)
    assert rows(told) == [[("awaiting_consent", ["02", "05", "09"])], [("scheduled", ["02", "09"])]]
    assert {event["at"] for event in told} == {format_instant(NOW + QUARTER_HOUR)}


async def test_only_those_are_told_whose_view_has_changed(stand: Stand) -> None:
    """That the other Party has declined, or repeated itself, makes no row."""
    declined = item(1, answers={ELEC: None, GAS: AnswerKind.DECLINE}, news_for=(GAS,))
    await stand.consume(HUB_PROGRESSED, progressed(declined))
    await gathered(stand)
    assert await feed(stand, ELEC) == []
    assert [event["kind"] for event in await feed(stand, GAS, "GS")] == ["hub_progressed"]


async def test_suppliers_are_told_totals_once_a_day_and_not_who_has_said_something(stand: Stand) -> None:
    await stand.consume(SMI_UPDATED, SmiUpdated(items=(smi_hub(1, CauseKind.LOAD, "elec"),)))
    await announce(stand)
    for hour in range(3):
        stand.clock.at = NOW + timedelta(hours=hour)
        counted = {HubState.ELIGIBLE: 9 - hour, HubState.AWAITING_CONSENT: hour, HubState.CONFIRMED: hour}
        totals = RolloutProgressed(
            release_id=RELEASE, kind=ProgressKind.TOTALS, epoch=0, at=stand.clock.at, totals=counted, at_risk=0
        )
        async with stand.database.transaction() as tx:
            batch = Batch(ROLLOUT_PROGRESSED.name, 0, (Received(hour, UUID(int=hour + 90), NOW, totals),))
            await stand.service.consumes[ROLLOUT_PROGRESSED].handler(tx, batch, still(stand.clock.at))
    assert kinds(await feed(stand, "dcc", "DCC")).count("rollout_progressed") == 3
    await gathered(stand, DAY)
    (told,) = [event for event in await feed(stand, "elec") if event["kind"] == "rollout_progressed"]
    assert told["data"]["totals"] == {"eligible": 9, "confirmed": 2}
    assert told["at"] == told["data"]["at"] == "2026-10-02T00:00:00Z"


async def test_older_totals_are_not_told_after_newer_ones(stand: Stand) -> None:
    """What follows a decision, or the end, is told at once; the totals of that day are then out of date."""
    await stand.consume(SMI_UPDATED, SmiUpdated(items=(smi_hub(1, CauseKind.LOAD, "elec"),)))
    await announce(stand)
    said = [
        RolloutProgressed(release_id=RELEASE, kind=kind, epoch=0, at=NOW, totals={HubState.CONFIRMED: n}, at_risk=0)
        for n, kind in enumerate((ProgressKind.TOTALS, ProgressKind.ALL_FINAL), start=1)
    ]
    for number, progress in enumerate(said, start=90):
        async with stand.database.transaction() as tx:
            batch = Batch(ROLLOUT_PROGRESSED.name, 0, (Received(number, UUID(int=number), NOW, progress),))
            await stand.service.consumes[ROLLOUT_PROGRESSED].handler(tx, batch, still(NOW))
    await gathered(stand, DAY)
    told = [event["data"] for event in await feed(stand, "elec") if event["kind"] == "rollout_progressed"]
    assert [(data["milestone"], data["totals"]) for data in told] == [("all_final", {"confirmed": 2})]
