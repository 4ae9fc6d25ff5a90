"""The verdict table row by row, its order, and its dates at their boundaries."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chfw_common.kernel.applicability import Image
from chfw_common.kernel.hubs import DeviceStatus, DeviceType, HubRecord, Responsibility
from chfw_common.kernel.ids import HubId, PartyId, UserId, hub_eui64, hub_hex
from chfw_common.kernel.instants import parse_instant
from chfw_common.kernel.roles import Role
from chfw_instruction.domain.entries import Entry, read_entries
from chfw_instruction.domain.verdict import Asked, Verdict, judge

D = parse_instant("2027-03-31T12:00:00Z")
CUT_OFF = parse_instant("2027-02-28T12:00:00Z")
TICK = timedelta(microseconds=1)
JOINED = parse_instant("2024-01-01T00:00:00Z")
HUB = HubId(0x00DB1234567890A0)
IMAGE = Image("Acme", "CH9", frozenset({"H1"}), "9.2", frozenset({"9.1"}), frozenset({"4.1"}))
ELEC = Responsibility(PartyId("elec"), UserId("elec-is"), Role.IMPORT_SUPPLIER, JOINED)
GAS = Responsibility(PartyId("gas"), UserId("gas-gs"), Role.GAS_SUPPLIER, JOINED)
GOOD = HubRecord(
    HUB, 0, DeviceType.CHF, DeviceStatus.COMMISSIONED, "Acme", "CH9", "H1", "9.1", "4.1", "north", (ELEC, GAS), 1
)
ASKED = Asked(PartyId("elec"), UserId("elec-is"), IMAGE, D, CUT_OFF, D - TICK)
ENTRY = Entry(hub_eui64(HUB), HUB, duplicate=False)


def verdict(asked: Asked, entry: Entry, hub: HubRecord | None) -> Verdict:
    return judge(asked, entry, hub, asked.refused_by_date)


TABLE: list[tuple[str, Entry, HubRecord | None, Asked]] = [
    ("malformed_id", replace(ENTRY, hub=None), None, ASKED),
    ("duplicate_in_request", replace(ENTRY, duplicate=True), GOOD, ASKED),
    ("unknown_hub", ENTRY, None, ASKED),
    ("not_responsible", ENTRY, replace(GOOD, responsible=(GAS,)), ASKED),
    ("not_responsible", ENTRY, replace(GOOD, responsible=(replace(ELEC, user_id=UserId("elec-gs")),)), ASKED),
    ("not_a_hub", ENTRY, replace(GOOD, device_type=DeviceType.GPF), ASKED),
    ("not_commissioned", ENTRY, replace(GOOD, status=DeviceStatus.PENDING), ASKED),
    ("already_at_version", ENTRY, replace(GOOD, firmware="9.2"), ASKED),
    ("model_not_applicable", ENTRY, replace(GOOD, model="CH8"), ASKED),
    ("model_not_applicable", ENTRY, replace(GOOD, hardware="H2", firmware="9.2"), ASKED),
    ("not_upgradeable", ENTRY, replace(GOOD, firmware="8.0"), ASKED),
    ("gbcs_incompatible", ENTRY, replace(GOOD, gbcs="3.2"), ASKED),
    ("after_cut_off", ENTRY, GOOD, replace(ASKED, received_at=CUT_OFF + TICK)),
    ("time_not_before_date", ENTRY, GOOD, replace(ASKED, activate_at=D)),
    ("accepted", ENTRY, GOOD, ASKED),
    ("accepted", ENTRY, GOOD, replace(ASKED, activate_at=None)),
    ("accepted", ENTRY, replace(GOOD, status=DeviceStatus.SUSPENDED), ASKED),
]


@pytest.mark.parametrize(("expected", "entry", "hub", "asked"), TABLE)
def test_each_row(expected: str, entry: Entry, hub: HubRecord | None, asked: Asked) -> None:
    assert verdict(asked, entry, hub).value == expected


def test_the_rows_stand_in_the_order_of_the_table() -> None:
    """Everything is wrong at once; mending the first fault shows the next row."""
    asked = replace(ASKED, received_at=CUT_OFF + TICK, activate_at=D)
    hub = replace(
        GOOD,
        responsible=(GAS,),
        device_type=DeviceType.GPF,
        status=DeviceStatus.PENDING,
        firmware="8.0",
        model="CH8",
        gbcs="3.2",
    )
    entry = Entry("x", None, duplicate=True)
    seen = [verdict(asked, entry, None)]
    entry = replace(entry, hub=HUB)
    seen.append(verdict(asked, entry, None))
    entry = replace(entry, duplicate=False)
    seen.append(verdict(asked, entry, None))
    mending: list[dict[str, object]] = [
        {},
        {"responsible": (ELEC,)},
        {"device_type": DeviceType.CHF},
        {"status": DeviceStatus.COMMISSIONED},
        {"model": "CH9"},
        {"firmware": "9.1"},
        {"gbcs": "4.1"},
    ]
    for change in mending:
        hub = replace(hub, **change)  # type: ignore[arg-type]
        seen.append(verdict(asked, entry, hub))
    seen.append(verdict(replace(asked, received_at=CUT_OFF), entry, hub))
    seen.append(verdict(ASKED, entry, hub))
    assert seen == [one for one in Verdict if one is not Verdict.ALREADY_AT_VERSION]


def test_the_boundaries_are_exact() -> None:
    assert ASKED.refused_by_date is None
    assert replace(ASKED, received_at=CUT_OFF + TICK).refused_by_date is Verdict.AFTER_CUT_OFF
    assert replace(ASKED, activate_at=D).refused_by_date is Verdict.TIME_NOT_BEFORE_DATE


@settings(deadline=None)
@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1).map(HubId), min_size=1), st.data())
def test_the_first_mention_counts_whatever_its_spelling(hubs: list[HubId], data: st.DataObject) -> None:
    spell = st.sampled_from([hub_eui64, hub_hex, lambda hub: hub_eui64(hub).lower(), lambda hub: hub_hex(hub).upper()])
    entries = read_entries(data.draw(spell)(hub) for hub in hubs)
    assert [entry.hub for entry in entries] == hubs
    assert [entry.hub for entry in entries if not entry.duplicate] == list(dict.fromkeys(hubs))


@settings(deadline=None)
@given(st.text())
def test_any_text_is_an_entry_that_every_store_can_hold(text: str) -> None:
    (entry,) = read_entries([text])
    if entry.hub is None:
        assert len(entry.raw) <= 64
        assert entry.raw.isascii()
        assert all(" " <= character <= "~" for character in entry.raw)
