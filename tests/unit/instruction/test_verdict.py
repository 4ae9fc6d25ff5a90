"""The verdict table row by row, its order, and its dates at their boundaries."""

from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chfw_common.kernel.applicability import Image
from chfw_common.kernel.hubs import HubFields
from chfw_common.kernel.ids import HubId, PartyId, ReleaseId, UserId, hub_eui64, hub_hex
from chfw_common.kernel.instants import parse_instant
from chfw_common.kernel.months import cut_off
from chfw_common.kernel.rollout import AnswerKind, Group, HubState
from chfw_common.kernel.waves import Wave
from chfw_instruction.domain.entries import CHUNK_ENTRIES, Listing, TooManyEntriesError, read_entries
from chfw_instruction.domain.standing import Standing, StateClass, Told, class_of, newest, showings, standing
from chfw_instruction.domain.verdict import Asked, Known, Verdict, judge

D = parse_instant("2027-03-31T12:00:00Z")
CUT_OFF = parse_instant("2027-02-28T23:59:59.999999Z")
TICK = timedelta(microseconds=1)
HUB = HubId(0x00DB1234567890A0)
IMAGE = Image("Acme", "CH9", frozenset({"H1"}), "9.2", frozenset({"9.1"}), frozenset({"4.1"}))
ELEC, ELEC_USER = PartyId("elec"), UserId("elec-is")
GOOD = HubFields(
    HUB, 0, ELEC, ELEC_USER, PartyId("gas"), UserId("gas-gs"), "North",
    "CHF", "Commissioned", "Acme", "CH9", "H1", "9.1", "4.1",
)  # fmt: skip
ASKED = Asked(
    ELEC, ELEC_USER, IMAGE, D, (), CUT_OFF, D - TICK, AnswerKind.INSTRUCT, Group.SAFE_LAUNCH, CUT_OFF + TICK, 1
)
PILOT = replace(ASKED, group=Group.PILOT)
OPENS = parse_instant("2027-03-01T00:00:00Z")
WAVE_D = parse_instant("2027-03-29T00:00:00Z")
NORTH = Wave("north", OPENS, WAVE_D, ("North",))
IN_WAVE = replace(ASKED, waves=(NORTH,), received_at=cut_off(WAVE_D), activate_at=OPENS)


class Case(NamedTuple):
    """One entry with everything that its verdict depends on."""

    asked: Asked = ASKED
    hub: HubId | None = HUB
    duplicate: bool = False
    found: HubFields | None = GOOD
    standing: Standing | None = None
    pilot_size: int = 0
    in_pilot: bool = False
    shown: bool = False


def verdict(case: Case) -> Verdict:
    known = Known(
        {} if case.found is None else {HUB: case.found},
        {} if case.standing is None else {HUB: case.standing},
        {HUB} if case.in_pilot else set(),
        case.pilot_size,
        {HUB} if case.shown else set(),
    )
    (said,) = judge(case.asked, [case.hub], {0} if case.duplicate else (), known)
    return said


TABLE: list[tuple[str, Case]] = [
    ("malformed_id", Case(hub=None)),
    ("duplicate_in_request", Case(duplicate=True)),
    ("unknown_hub", Case(found=None)),
    ("not_responsible", Case(found=GOOD._replace(import_party=None, import_user=None))),
    ("not_responsible", Case(found=GOOD._replace(import_user=UserId("elec-gs")))),
    ("not_responsible", Case(found=GOOD._replace(import_party=PartyId("other")))),
    ("not_a_hub", Case(found=GOOD._replace(device_type="GPF"))),
    ("not_commissioned", Case(found=GOOD._replace(status="Pending"))),
    ("already_at_version", Case(found=GOOD._replace(firmware="9.2"))),
    ("model_not_applicable", Case(found=GOOD._replace(model="CH8"))),
    ("model_not_applicable", Case(found=GOOD._replace(hardware="H2", firmware="9.2"))),
    ("not_upgradeable", Case(found=GOOD._replace(firmware="8.0"))),
    ("gbcs_incompatible", Case(found=GOOD._replace(gbcs="3.2"))),
    ("other_request_in_progress", Case(standing=Standing.OTHER_HOLDS)),
    ("finished", Case(standing=Standing.FINISHED)),
    ("after_cut_off", Case(asked=replace(ASKED, received_at=CUT_OFF + TICK))),
    ("time_not_before_date", Case(asked=replace(ASKED, activate_at=D))),
    ("after_cut_off", Case(asked=replace(IN_WAVE, received_at=cut_off(WAVE_D) + TICK))),
    ("time_not_before_date", Case(asked=replace(IN_WAVE, activate_at=WAVE_D))),
    ("accepted", Case(asked=replace(IN_WAVE, activate_at=WAVE_D - TICK))),
    ("before_group_opens", Case(asked=replace(IN_WAVE, activate_at=OPENS - TICK))),
    ("accepted", Case(asked=IN_WAVE)),
    ("accepted", Case(asked=replace(IN_WAVE, activate_at=None))),
    ("accepted", Case(asked=replace(IN_WAVE, activate_at=OPENS - TICK), found=GOOD._replace(region="South"))),
    ("accepted", Case(asked=replace(IN_WAVE, received_at=CUT_OFF), found=GOOD._replace(region="South"))),
    ("before_group_opens", Case(asked=replace(PILOT, activate_at=CUT_OFF))),
    ("accepted", Case(asked=replace(PILOT, activate_at=CUT_OFF + TICK))),
    ("accepted", Case(asked=replace(IN_WAVE, pilot_opens=OPENS - TICK, activate_at=OPENS - TICK), in_pilot=True)),
    ("before_group_opens", Case(asked=replace(ASKED, activate_at=CUT_OFF), in_pilot=True)),
    ("pilot_closed", Case(asked=replace(PILOT, pilot_opens=CUT_OFF))),
    ("accepted", Case(asked=replace(ASKED, pilot_opens=CUT_OFF))),
    ("accepted", Case(asked=replace(PILOT, pilot_opens=CUT_OFF, kind=AnswerKind.WITHDRAW))),
    ("pilot_full", Case(asked=PILOT, pilot_size=1)),
    ("accepted", Case(asked=PILOT, pilot_size=1, in_pilot=True)),
    ("time_not_shown", Case(asked=replace(ASKED, kind=AnswerKind.AGREE))),
    ("accepted", Case(asked=replace(ASKED, kind=AnswerKind.AGREE), shown=True)),
    ("time_not_before_date", Case(asked=replace(ASKED, kind=AnswerKind.AGREE, activate_at=D))),
    ("accepted", Case(asked=PILOT)),
    ("accepted", Case(pilot_size=1)),
    ("accepted", Case()),
    ("accepted", Case(asked=replace(ASKED, activate_at=None))),
    ("accepted", Case(found=GOOD._replace(status="Suspended"))),
    ("accepted", Case(found=GOOD._replace(gas_party=ELEC, gas_user=ELEC_USER, import_party=None, import_user=None))),
]


@pytest.mark.parametrize(("expected", "case"), TABLE)
def test_each_row(expected: str, case: Case) -> None:
    assert verdict(case).value == expected


def test_the_rows_stand_in_the_order_of_the_table() -> None:
    """Everything is wrong at once; mending the first fault shows the next row."""
    late = replace(PILOT, received_at=CUT_OFF + TICK, activate_at=D, kind=AnswerKind.AGREE)
    bad = GOOD._replace(import_party=None, device_type="GPF", status="Pending", firmware="8.0", model="CH8", gbcs="3.2")
    case = Case(late, None, duplicate=True, found=None, standing=Standing.OTHER_HOLDS, pilot_size=1)
    seen = [verdict(case)]
    mending: list[dict[str, object]] = [
        {"hub": HUB},
        {"duplicate": False},
        {"found": bad},
        {"found": (bad := bad._replace(import_party=ELEC))},
        {"found": (bad := bad._replace(device_type="CHF"))},
        {"found": (bad := bad._replace(status="Commissioned"))},
        {"found": (bad := bad._replace(model="CH9"))},
        {"found": (bad := bad._replace(firmware="9.1"))},
        {"found": bad._replace(gbcs="4.1")},
        {"standing": Standing.FINISHED},
        {"standing": None},
        {"asked": (late := replace(late, received_at=CUT_OFF, pilot_opens=CUT_OFF))},
        {"asked": (late := replace(late, activate_at=CUT_OFF - TICK))},
        {"asked": (late := replace(late, activate_at=CUT_OFF))},
        {"asked": replace(late, received_at=CUT_OFF - TICK)},
        {"shown": True},
        {"pilot_size": 0},
    ]
    for change in mending:
        case = case._replace(**change)  # type: ignore[arg-type]
        seen.append(verdict(case))
    assert seen == [one for one in Verdict if one is not Verdict.ALREADY_AT_VERSION]


def test_the_boundaries_are_exact() -> None:
    def by_date(asked: Asked) -> Verdict | None:
        return asked.refused_by_date(None, pilot=asked.for_pilot)

    assert by_date(ASKED) is None
    assert by_date(PILOT) is None
    assert by_date(replace(ASKED, received_at=CUT_OFF + TICK)) is Verdict.AFTER_CUT_OFF
    assert by_date(replace(ASKED, activate_at=D)) is Verdict.TIME_NOT_BEFORE_DATE
    assert by_date(replace(PILOT, activate_at=CUT_OFF)) is Verdict.BEFORE_GROUP_OPENS
    assert by_date(replace(PILOT, activate_at=CUT_OFF + TICK)) is None
    assert by_date(replace(PILOT, pilot_opens=CUT_OFF)) is Verdict.PILOT_CLOSED


def test_the_pilot_is_looked_up_where_it_makes_a_difference() -> None:
    assert not ASKED.depends_on_pilot
    assert IN_WAVE.depends_on_pilot
    assert not replace(IN_WAVE, activate_at=None).depends_on_pilot
    assert replace(ASKED, activate_at=CUT_OFF).depends_on_pilot
    assert not replace(ASKED, activate_at=CUT_OFF + TICK).depends_on_pilot


def test_a_pilot_list_fills_the_cap_in_its_order_and_members_take_no_room() -> None:
    hubs = [HubId(n) for n in range(5)]
    known = Known({hub: GOOD._replace(hub=hub) for hub in hubs}, {}, {hubs[2]}, 1)
    said = judge(replace(PILOT, pilot_places=3), hubs, (), known)
    assert [one.value for one in said] == ["accepted", "accepted", "accepted", "pilot_full", "pilot_full"]


OURS, OTHER = ReleaseId("ours"), ReleaseId("other")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], None),
        ([(OURS, StateClass.HOLDS)], None),
        ([(OURS, StateClass.ARMED)], Standing.FINISHED),
        ([(OURS, StateClass.FINAL)], Standing.FINISHED),
        ([(OTHER, StateClass.OPEN)], None),
        ([(OTHER, StateClass.HOLDS)], Standing.OTHER_HOLDS),
        ([(OTHER, StateClass.ARMED)], Standing.OTHER_HOLDS),
        ([(OTHER, StateClass.FINAL)], None),
        ([(OURS, StateClass.FINAL), (OTHER, StateClass.HOLDS)], Standing.OTHER_HOLDS),
    ],
)
def test_what_the_ledger_refuses(rows: list[tuple[ReleaseId, StateClass]], expected: Standing | None) -> None:
    assert standing(OURS, rows) is expected


def test_every_state_has_its_class() -> None:
    open_states = {state for state in HubState if class_of(state) is StateClass.OPEN}
    assert open_states == {HubState.ELIGIBLE, HubState.AWAITING_CONSENT, HubState.SCHEDULED, HubState.UNFIT}


def test_of_several_words_on_a_hub_the_highest_version_counts() -> None:
    words = [Told(HUB, 3, StateClass.ARMED), Told(HubId(2), 1, StateClass.OPEN), Told(HUB, 2, StateClass.HOLDS)]
    assert newest(words) == [Told(HUB, 3, StateClass.ARMED, moved=True), words[1]]
    assert newest([words[0], words[0]]) == [words[0]]


def test_what_was_shown_counts_whatever_the_version() -> None:
    one, other = showings([ELEC, PartyId("gas")], OPENS), showings([ELEC], WAVE_D)
    words = [Told(HUB, 3, StateClass.OPEN, shown=one), Told(HUB, 2, StateClass.OPEN, shown=other)]
    assert newest(words) == [Told(HUB, 3, StateClass.OPEN, shown=one + other)]
    assert newest([words[0], words[0]]) == [words[0]]
    assert showings([ELEC], None) == ()


@pytest.mark.parametrize("sizes", [[25_001], [1, 9_999, 10_000, 5_001], [12_345, 12_656]])
def test_chunks_are_cut_alike_however_the_list_arrives(sizes: list[int]) -> None:
    texts = [hub_eui64(HubId(n % 20_000)) for n in range(25_000)] + ["x"]
    listing = Listing(25_001)
    begin = 0
    for size in sizes:
        listing.add(texts[begin : begin + size], [f"{text},1" for text in texts[begin : begin + size]])
        begin += size
    chunks = listing.close()
    assert [len(chunk) for chunk in chunks] == [CHUNK_ENTRIES, CHUNK_ENTRIES, 5_001]
    assert [raw for chunk in chunks for raw in chunk.raw] == texts
    assert [record for chunk in chunks for record in chunk.records or ()] == [f"{text},1" for text in texts]
    assert [len(chunk.duplicates) for chunk in chunks] == [0, 0, 5_000]
    assert chunks[2].hubs[-1] is None
    with pytest.raises(TooManyEntriesError):
        Listing(2).add(["a", "b", "c"])


@settings(deadline=None)
@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1).map(HubId), min_size=1), st.data())
def test_the_first_mention_counts_whatever_its_spelling(hubs: list[HubId], data: st.DataObject) -> None:
    spell = st.sampled_from([hub_eui64, hub_hex, lambda hub: hub_eui64(hub).lower(), lambda hub: hub_hex(hub).upper()])
    chunks = read_entries([data.draw(spell)(hub) for hub in hubs])
    assert [hub for chunk in chunks for hub in chunk.hubs] == hubs
    first = [hub for chunk in chunks for n, hub in enumerate(chunk.hubs) if n not in chunk.duplicates]
    assert first == list(dict.fromkeys(hubs))


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=())))
def test_any_text_is_an_entry_that_every_store_can_hold(text: str) -> None:
    (chunk,) = read_entries([text])
    (raw,), (hub,) = chunk.raw, chunk.hubs
    if hub is None:
        assert len(raw) <= 64
        assert all(" " <= character <= "~" for character in raw)
