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
