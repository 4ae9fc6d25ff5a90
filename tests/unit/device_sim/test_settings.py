"""Settings of the fleet: what is given for one region leaves the others, and the impossible is refused."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from chfw_device_sim.settings import Settings
from tests.support.settings import nowhere


def settings(**given: Any) -> Settings:
    return Settings.model_validate(nowhere(**given))


def test_a_region_that_is_given_leaves_the_others() -> None:
    found = settings(
        rate_out_of_reach={"North": 0.2},
        delivery_times={"South": {"min": "PT1M", "max": "PT2M"}},
        region_capacity={"Central": {"per_hour": 10, "in_flight": 5}},
    )
    assert (found.rate_out_of_reach["North"], found.rate_out_of_reach["South"]) == (0.2, 0.06)
    assert found.delivery_times["South"].max == timedelta(minutes=2)
    assert found.delivery_times["North"].max == timedelta(days=3)
    assert (found.region_capacity["Central"].in_flight, found.region_capacity["South"].in_flight) == (5, 1_000_000)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHFW_DELIVERY_TIMES", '{"North": {"min": "PT1H", "max": "PT2H"}}')
    monkeypatch.setenv("CHFW_DELIVERY_GRID", "PT6H")
    found = settings()
    assert (found.delivery_times["North"].min, found.delivery_grid) == (timedelta(hours=1), timedelta(hours=6))


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_no_image_held": 0.6, "rate_activation_failure": 0.6},
        {"rate_lost_alert": 0.6, "rate_late_alert": 0.6},
        {"rate_file_transfer_failure": 1.0},
        {"rate_out_of_reach": {"North": 0.6}},
        {"delivery_times": {"North": {"min": "PT2H", "max": "PT1H"}}},
        {"delivery_grid": "PT0S"},
        {"region_capacity": {"North": {"per_hour": 0, "in_flight": 1}}},
        {"edges": ["Mars"]},
        {"edges": []},
    ],
)
def test_the_impossible_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)
