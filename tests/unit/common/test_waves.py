"""Which hubs a wave takes, and what is wrong with a list of waves."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.ids import GREATEST_HUB, LEAST_HUB, HubId
from chfw_common.kernel.instants import parse_instant
from chfw_common.kernel.waves import SHARES, Wave, WaveFault, fault_in, may_delay, share_of, wave_of
from chfw_common.topology import HUB_PARTITIONS, partition_of_hub

NOW = parse_instant("2026-10-01T00:00:00Z")
DAY = timedelta(days=1)
D = NOW + 180 * DAY
FIRST = Wave("first", NOW + 30 * DAY, NOW + 60 * DAY)
SECOND = Wave("second", NOW + 67 * DAY, NOW + 90 * DAY)
PARTS = [0, 700, 2_500, 5_000, SHARES]
hubs = st.integers(LEAST_HUB, GREATEST_HUB).map(HubId)


@given(hubs)
def test_waves_that_divide_the_shares_take_each_hub_once(hub: HubId) -> None:
    waves = [replace(FIRST, name=f"{n}", share_from=low, share_below=PARTS[n + 1]) for n, low in enumerate(PARTS[:-1])]
    taking = [wave for wave in waves if wave_of([wave], hub, "North") is not None]
    assert taking == [wave_of(waves, hub, "North")]
    assert taking[0].share_from <= share_of(hub) < taking[0].share_below


@given(hubs, st.sampled_from(["North", "South"]))
def test_regions_and_shares_are_both_asked_and_the_first_wave_counts(hub: HubId, region: str) -> None:
    some = replace(FIRST, regions=("North", "West"), share_below=SHARES // 2)
    rest = replace(SECOND, regions=("North",))
    found = wave_of([some, rest], hub, region)
    if region == "South":
        assert found is None
    else:
        assert found == (some if share_of(hub) < SHARES // 2 else rest)
    assert wave_of([], hub, region) is None
    assert wave_of([FIRST, SECOND], hub, region) == FIRST


def test_shares_are_even_within_a_partition_and_among_neighbours() -> None:
    """2,000 neighbours, and those of one partition: a fifth of each lies in a fifth of the shares."""
    neighbours = [HubId(0x00DB_1234_0000_0000 + n) for n in range(2_000 * HUB_PARTITIONS)]
    of_partition = [hub for hub in neighbours if partition_of_hub(hub) == 5]
    for some in (neighbours[:2_000], of_partition):
        for low in range(0, SHARES, SHARES // 5):
            inside = sum(low <= share_of(hub) < low + SHARES // 5 for hub in some)
            assert abs(inside / len(some) - 0.2) < 0.03


def test_a_share_is_what_it_has_always_been() -> None:
    """Who changes how shares are drawn moves hubs of running releases between waves."""
    assert [share_of(HubId(n)) for n in (0, 1, -1, 0x00DB_1234_5678_90A0)] == [3_950, 708, 1_299, 7_706]


@pytest.mark.parametrize(
    ("waves", "fault"),
    [
        ([], None),
        ([FIRST, SECOND], None),
        ([FIRST, replace(SECOND, name="first")], WaveFault.SAME_NAME),
        ([replace(FIRST, share_from=5, share_below=5)], WaveFault.TAKES_NOTHING),
        ([replace(FIRST, share_below=SHARES + 1)], WaveFault.TAKES_NOTHING),
        ([replace(FIRST, opens=FIRST.automatic_date)], WaveFault.ORDER),
        ([replace(FIRST, automatic_date=D)], None),
        ([replace(FIRST, automatic_date=D + DAY)], WaveFault.AFTER_DATE),
        ([FIRST, replace(SECOND, opens=SECOND.opens - DAY)], WaveFault.NO_SOAK),
        ([SECOND, FIRST], WaveFault.NO_SOAK),
        ([FIRST, replace(SECOND, opens=NOW)], None),
    ],
)
def test_faults(waves: list[Wave], fault: WaveFault | None) -> None:
    assert fault_in(waves, D, soak=7 * DAY, now=NOW) is fault


@pytest.mark.parametrize(
    ("after", "later"),
    [
        ([FIRST, SECOND], False),
        ([FIRST, replace(SECOND, opens=SECOND.opens - DAY)], False),
        ([replace(FIRST, automatic_date=FIRST.automatic_date - DAY), SECOND], False),
        ([FIRST, replace(SECOND, opens=SECOND.opens + DAY)], True),
        ([replace(FIRST, automatic_date=FIRST.automatic_date + DAY), SECOND], True),
        ([FIRST], True),
        ([SECOND, FIRST], True),
        ([replace(FIRST, share_below=9_999), SECOND], True),
        ([], True),
    ],
)
def test_whether_a_hub_may_have_to_wait_longer(after: list[Wave], later: bool) -> None:
    assert may_delay([FIRST, SECOND], after) is later
