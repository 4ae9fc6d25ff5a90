"""The verdict table of one hub: each reason, and which comes first."""

from dataclasses import replace

import pytest

from chfw_common.events.alert import AlertItem
from chfw_common.events.response import ResponseItem
from chfw_common.kernel.applicability import Image, Inapplicable, inapplicable
from chfw_common.kernel.codes import code
from chfw_common.kernel.hubs import UPGRADEABLE_STATUSES, DeviceStatus, DeviceType, HubRecord
from chfw_common.kernel.ids import HubId

IMAGE = Image("Acme", "CH1", frozenset({"A", "B"}), "2.0", frozenset({"1.0", "1.1"}), frozenset({"3.2"}))
HUB = HubRecord(
    HubId(1), 0, DeviceType.CHF, DeviceStatus.COMMISSIONED, "Acme", "CH1", "A", "1.0", "3.2", "North", (), 1
)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"hardware": "B", "firmware": "1.1"}, None),
        ({"status": DeviceStatus.SUSPENDED}, None),
        ({"device_type": DeviceType.ESME}, Inapplicable.NOT_A_HUB),
        ({"status": DeviceStatus.PENDING}, Inapplicable.NOT_COMMISSIONED),
        ({"firmware": "2.0"}, Inapplicable.ALREADY_AT_VERSION),
        ({"model": "CH2"}, Inapplicable.MODEL_NOT_APPLICABLE),
        ({"manufacturer": "Other"}, Inapplicable.MODEL_NOT_APPLICABLE),
        ({"hardware": "C"}, Inapplicable.MODEL_NOT_APPLICABLE),
        ({"firmware": "0.9"}, Inapplicable.NOT_UPGRADEABLE),
        ({"gbcs": "1.0"}, Inapplicable.GBCS_INCOMPATIBLE),
        # The first reason wins.
        ({"device_type": DeviceType.GPF, "status": DeviceStatus.PENDING}, Inapplicable.NOT_A_HUB),
        ({"status": DeviceStatus.PENDING, "firmware": "2.0"}, Inapplicable.NOT_COMMISSIONED),
        ({"firmware": "2.0", "gbcs": "1.0"}, Inapplicable.ALREADY_AT_VERSION),
        ({"firmware": "2.0", "model": "CH2"}, Inapplicable.MODEL_NOT_APPLICABLE),
        ({"model": "CH2", "gbcs": "1.0"}, Inapplicable.MODEL_NOT_APPLICABLE),
        ({"firmware": "0.9", "gbcs": "1.0"}, Inapplicable.NOT_UPGRADEABLE),
    ],
)
def test_the_table(change: dict[str, str], reason: Inapplicable | None) -> None:
    assert inapplicable(IMAGE, replace(HUB, **change)) is reason  # type: ignore[arg-type]


HEX_IMAGE = Image("106c", "433100ac", frozenset({"00ac"}), "0102040a", frozenset({"0102030b"}), frozenset())
HEX_HUB = replace(HUB, manufacturer="106C", model="433100AC", hardware="00AC", firmware="0102030B")


@pytest.mark.parametrize("lower", ["manufacturer", "model", "hardware", "firmware"])
def test_hexadecimal_is_compared_as_numbers(lower: str) -> None:
    hub = replace(HEX_HUB, **{lower: getattr(HEX_HUB, lower).lower()})
    assert inapplicable(HEX_IMAGE, HEX_HUB) is None
    assert inapplicable(HEX_IMAGE, hub) is None
    assert Image("106C", "433100AC", frozenset({"00AC"}), "0102040A", frozenset({"0102030B"}), frozenset()) == HEX_IMAGE


@pytest.mark.parametrize("firmware", ["0102040a", "0102040A"])
def test_a_hub_that_runs_the_version_runs_it_in_either_case(firmware: str) -> None:
    assert inapplicable(HEX_IMAGE, replace(HEX_HUB, firmware=firmware)) is Inapplicable.ALREADY_AT_VERSION


def test_a_device_says_its_version_in_either_case() -> None:
    said = {"hub": "0000000000000001", "alert_code": 0x8F66, "alert_counter": 2, "command_counter": 1, "outcome": 0}
    alert = AlertItem.model_validate({**said, "firmware": "0102040a", "executed_at": "2027-01-01T00:00:00Z"})
    answer = ResponseItem.model_validate(
        {"hub": "0000000000000001", "kind": "version_read", "at": "2027-01-01T00:00:00Z", "firmware": "0102040a"}
    )
    assert (alert.firmware, answer.firmware) == ("0102040A", "0102040A")


def test_a_text_that_is_no_number_is_compared_as_it_stands() -> None:
    assert inapplicable(replace(IMAGE, manufacturer="acme"), HUB) is Inapplicable.MODEL_NOT_APPLICABLE
    assert code("v4.1a") == "v4.1a"
    assert code("") == ""


@pytest.mark.parametrize("status", DeviceStatus)
def test_only_commissioned_and_suspended_hubs_are_upgraded(status: DeviceStatus) -> None:
    fits = inapplicable(IMAGE, replace(HUB, status=status)) is None
    assert fits == (status in UPGRADEABLE_STATUSES) == (status in {"Commissioned", "Suspended"})


def test_an_empty_set_allows_any() -> None:
    image = replace(IMAGE, predecessors=frozenset(), gbcs_versions=frozenset())
    assert inapplicable(image, replace(HUB, firmware="0.1", gbcs="9.9")) is None
