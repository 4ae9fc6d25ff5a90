"""The inventory's rules: what an alert, a read, a load or a change of Supplier changes, and that repeats do not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.hubs import DeviceStatus, DeviceType, HubRecord, Responsibility
from chfw_common.kernel.ids import HubId, PartyId, ReleaseId, UserId
from chfw_common.kernel.roles import Role
from chfw_smi.domain.inventory import (
    Claimed,
    Heard,
    Line,
    Loaded,
    Observation,
    Sight,
    SupplierChange,
    change_suppliers,
    former_status,
    load,
    observe,
)

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALPHA = Responsibility(PartyId("alpha"), UserId("90-B3-D5-1F-30-00-00-01"), Role.IMPORT_SUPPLIER, T0)
BETA = Responsibility(PartyId("beta"), UserId("90-B3-D5-1F-30-00-00-02"), Role.GAS_SUPPLIER, T0)
LINE = Line(
    HubRecord(
        hub=HubId(7),
        part=3,
        device_type=DeviceType.CHF,
        status=DeviceStatus.COMMISSIONED,
        manufacturer="106C",
        model="433100AC",
        hardware="0001",
        firmware="OLD",
        gbcs="4.1",
        region="North",
        responsible=(ALPHA, BETA),
        smi_version=1,
    ),
    gpf=HubId(8),
    status_since=T0,
)
HEARD = Heard("OLD", None, 1)


def alert(counter: int, firmware: str = "NEW", at: datetime = T0, outcome: int = 0) -> Observation:
    return Observation(HubId(7), Sight.ALERT, ReleaseId("r1"), counter, 100 + counter, firmware, at, outcome)


def read(counter: int, firmware: str = "OLD", at: datetime = T0) -> Observation:
    return Observation(HubId(7), Sight.READ, ReleaseId("r1"), counter, counter, firmware, at)


def test_an_alert_sets_the_version_once() -> None:
    after = observe(HEARD, alert(1))
    assert after is not None
    assert (after.firmware, after.smi_version) == ("NEW", 2)
    assert (after.alert_counter, after.alert_release) == (1, "r1")
    assert observe(after, alert(1)) is None


def test_a_failed_activation_is_told_without_a_new_version_of_firmware() -> None:
    after = observe(HEARD, alert(1, firmware="OLD", outcome=3))
    assert after is not None
    assert (after.firmware, after.smi_version) == ("OLD", 2)


def test_a_read_that_a_later_alert_overtook_does_not_bring_the_old_version_back() -> None:
    activated = observe(HEARD, alert(1, at=T0 + HOUR))
    assert activated is not None
    late = observe(activated, read(50, "OLD", at=T0))
    assert late is not None, "it is told all the same, with the version known"
    assert (late.firmware, late.smi_version) == ("NEW", 3)


def test_at_one_instant_the_alert_counts_whichever_comes_first() -> None:
    for first, second in ((read(50), alert(1)), (alert(1), read(50))):
        once = observe(HEARD, first)
        assert once is not None
        twice = observe(once, second)
        assert twice is not None
        assert twice.firmware == "NEW"


@given(st.lists(st.sampled_from([alert(1), alert(2, at=T0 + HOUR), read(50, "NEW", at=T0 + 2 * HOUR)]), max_size=12))
def test_every_observation_counts_at_most_once(seen: list[Observation]) -> None:
    heard, told = HEARD, 0
    for entry in seen:
        after = observe(heard, entry)
        if after is not None:
            heard, told = after, told + 1
    assert heard.smi_version == 1 + told
    assert told <= len(set(seen))


def loaded(line: Line) -> Loaded:
    record = line.record
    return Loaded(
        hub=record.hub,
        gpf=line.gpf,
        device_type=record.device_type,
        status=record.status,
        status_since=None,
        manufacturer=record.manufacturer,
        model=record.model,
        hardware=record.hardware,
        firmware=record.firmware,
        gbcs=record.gbcs,
        region=record.region,
        responsible=tuple(Claimed(entry.role, entry.party, entry.user_id) for entry in record.responsible),
    )


def test_a_load_of_what_is_known_says_nothing_and_keeps_the_starts() -> None:
    assert load(LINE, loaded(LINE), 3, T0 + HOUR) is None


def test_a_new_hub_begins_at_version_one_with_the_starts_of_now() -> None:
    line = load(None, loaded(LINE), 3, T0 + HOUR)
    assert line is not None
    assert line.record.smi_version == 1
    assert {entry.since for entry in line.record.responsible} == {T0 + HOUR}
    assert line.firmware_at is None


def test_a_changed_status_starts_now() -> None:
    line = load(LINE, replace(loaded(LINE), status=DeviceStatus.SUSPENDED), 3, T0 + HOUR)
    assert line is not None
    assert (line.status_since, line.record.smi_version) == (T0 + HOUR, 2)


def test_a_change_of_supplier_replaces_one_role_and_a_removal_empties_it() -> None:
    joiner = Claimed(Role.GAS_SUPPLIER, PartyId("gamma"), UserId("90-B3-D5-1F-30-00-00-03"))
    change = SupplierChange(HubId(7), Role.GAS_SUPPLIER, joiner)
    after = change_suppliers(LINE, [change], T0 + HOUR)
    assert after is not None
    assert after.record.responsible[0] == ALPHA
    assert (after.record.responsible[1].party, after.record.responsible[1].since) == ("gamma", T0 + HOUR)
    assert change_suppliers(after, [change], T0 + 2 * HOUR) is None
    empty = change_suppliers(after, [SupplierChange(HubId(7), Role.GAS_SUPPLIER, None)], T0 + HOUR)
    assert empty is not None
    assert empty.record.responsible == (ALPHA,)


ALPHA_GAS = Responsibility(PartyId("alpha"), UserId("90-B3-D5-1F-30-00-00-01"), Role.GAS_SUPPLIER, T0 + HOUR)
BOTH = replace(LINE, record=replace(LINE.record, responsible=(ALPHA, ALPHA_GAS)))
GAMMA = Claimed(Role.IMPORT_SUPPLIER, PartyId("gamma"), UserId("90-B3-D5-1F-30-00-00-03"))


def starts(line: Line | None) -> list[tuple[str, Role, datetime]]:
    assert line is not None
    return [(entry.party, entry.role, entry.since) for entry in line.record.responsible]


def test_the_role_a_party_keeps_carries_the_earlier_start() -> None:
    given_up = change_suppliers(BOTH, [SupplierChange(HubId(7), Role.IMPORT_SUPPLIER, None)], T0 + 5 * HOUR)
    assert starts(given_up) == [("alpha", Role.GAS_SUPPLIER, T0)]
    taken = change_suppliers(BOTH, [SupplierChange(HubId(7), Role.IMPORT_SUPPLIER, GAMMA)], T0 + 5 * HOUR)
    assert starts(taken) == [("gamma", Role.IMPORT_SUPPLIER, T0 + 5 * HOUR), ("alpha", Role.GAS_SUPPLIER, T0)]


def test_a_later_role_given_up_leaves_the_start_of_the_other() -> None:
    after = change_suppliers(BOTH, [SupplierChange(HubId(7), Role.GAS_SUPPLIER, None)], T0 + 5 * HOUR)
    assert starts(after) == [("alpha", Role.IMPORT_SUPPLIER, T0)]


def test_a_party_that_goes_on_under_another_user_id_or_role_keeps_its_start() -> None:
    renamed = Claimed(Role.IMPORT_SUPPLIER, PartyId("alpha"), UserId("90-B3-D5-1F-30-00-00-09"))
    after = change_suppliers(LINE, [SupplierChange(HubId(7), Role.IMPORT_SUPPLIER, renamed)], T0 + HOUR)
    assert starts(after)[0] == ("alpha", Role.IMPORT_SUPPLIER, T0)
    moved = [
        SupplierChange(HubId(7), Role.IMPORT_SUPPLIER, None),
        SupplierChange(HubId(7), Role.GAS_SUPPLIER, replace(renamed, role=Role.GAS_SUPPLIER)),
    ]
    assert starts(change_suppliers(LINE, moved, T0 + HOUR)) == [("alpha", Role.GAS_SUPPLIER, T0)]


def test_a_party_that_left_and_came_back_begins_anew_and_a_stated_start_counts() -> None:
    gone = change_suppliers(LINE, [SupplierChange(HubId(7), Role.IMPORT_SUPPLIER, None)], T0 + HOUR)
    assert gone is not None
    alpha = Claimed(Role.IMPORT_SUPPLIER, PartyId("alpha"), ALPHA.user_id)
    back = change_suppliers(gone, [SupplierChange(HubId(7), Role.IMPORT_SUPPLIER, alpha)], T0 + 2 * HOUR)
    assert starts(back)[0] == ("alpha", Role.IMPORT_SUPPLIER, T0 + 2 * HOUR)
    stated = replace(alpha, since=T0 + HOUR)
    told = change_suppliers(LINE, [SupplierChange(HubId(7), Role.IMPORT_SUPPLIER, stated)], T0 + 2 * HOUR)
    assert starts(told)[0] == ("alpha", Role.IMPORT_SUPPLIER, T0 + HOUR)


def test_a_load_carries_the_earlier_start_too_and_again_says_nothing() -> None:
    only_gas = replace(loaded(BOTH), responsible=(Claimed(Role.GAS_SUPPLIER, ALPHA.party, ALPHA.user_id),))
    after = load(BOTH, only_gas, 3, T0 + 5 * HOUR)
    assert starts(after) == [("alpha", Role.GAS_SUPPLIER, T0)]
    assert load(after, only_gas, 3, T0 + 6 * HOUR) is None


@given(
    st.lists(
        st.tuples(st.sampled_from([Role.IMPORT_SUPPLIER, Role.GAS_SUPPLIER]), st.sampled_from(["a", "b", None])),
        max_size=12,
    )
)
def test_the_earliest_start_of_a_party_is_that_of_its_unbroken_period(steps: list[tuple[Role, str | None]]) -> None:
    line, began = replace(LINE, record=replace(LINE.record, responsible=())), dict[str, datetime]()
    for n, (role, party) in enumerate(steps):
        now = T0 + n * HOUR
        claim = None if party is None else Claimed(role, PartyId(party), UserId(f"{party}-{role}"))
        line = change_suppliers(line, [SupplierChange(HubId(7), role, claim)], now) or line
        present = {entry.party for entry in line.record.responsible}
        began = {name: began.get(name, now) for name in present}
        found = {name: min(entry.since for entry in line.record.responsible if entry.party == name) for name in present}
        assert found == began


def test_a_status_that_ends_is_kept_with_the_dates_it_applied() -> None:
    after = load(LINE, replace(loaded(LINE), status=DeviceStatus.SUSPENDED), 3, T0 + HOUR)
    assert after is not None
    assert former_status(LINE, after) == (HubId(7), 2, DeviceStatus.COMMISSIONED, T0, T0 + HOUR)
    corrected = load(LINE, replace(loaded(LINE), status_since=T0 + HOUR), 3, T0 + HOUR)
    assert corrected is not None
    assert former_status(LINE, corrected) is None
