"""The verdict table of one hub: each reason, and which comes first."""

from dataclasses import replace

import pytest

from chfw_common.kernel.applicability import Image, Inapplicable, inapplicable
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


@pytest.mark.parametrize("status", DeviceStatus)
def test_only_commissioned_and_suspended_hubs_are_upgraded(status: DeviceStatus) -> None:
    fits = inapplicable(IMAGE, replace(HUB, status=status)) is None
    assert fits == (status in UPGRADEABLE_STATUSES) == (status in {"Commissioned", "Suspended"})


def test_an_empty_set_allows_any() -> None:
    image = replace(IMAGE, predecessors=frozenset(), gbcs_versions=frozenset())
    assert inapplicable(image, replace(HUB, firmware="0.1", gbcs="9.9")) is None
