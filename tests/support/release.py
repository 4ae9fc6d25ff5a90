"""The release that the stands of the services know, a decision on it, and the hubs it is for."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from chfw_common.events.decision import RolloutDecision
from chfw_common.events.release import CplEntry, ReleaseNotified
from chfw_common.kernel.ids import HubId, ReleaseId, hub_eui64
from chfw_common.kernel.instants import Instant, parse_instant
from chfw_common.kernel.rollout import Mode, Rule
from chfw_common.kernel.waves import Wave
from chfw_common.runtime.service import Tx
from chfw_common.topology import partition_of_hub

NOW = parse_instant("2026-10-01T09:00:00Z")
D = parse_instant("2027-03-31T12:00:00Z")
CUT_OFF = parse_instant("2027-02-28T23:59:59.999999Z")
RELEASE = ReleaseId("CH-9-2")
DAY = timedelta(days=1)
SINCE = parse_instant("2024-01-01T00:00:00Z")


def notice(**changes: Any) -> ReleaseNotified:
    """The release of these tests; `cpl` changes its entry of the Central Products List."""
    cpl = {"manufacturer": "Acme", "model": "CH9", "hardware": ("H1",), "firmware": "9.2", "image_hash": "ab" * 32}
    fields: dict[str, Any] = {
        "release_id": RELEASE,
        "version": 1,
        "cpl": CplEntry(**{**cpl, **changes.pop("cpl", {})}),
        "kind": "planned",
        "severity": "low",
        "priority": 3,
        "note_reference": "RN-9-2",
        "rule": Rule.VOLUNTARY,
        "lone_lead": 14 * DAY,
        "answer_min": 3 * DAY,
        "pilot_cap": 300,
        "pilot_places": {"elec": 300, "gas": 300},
        "notified_at": NOW,
        "pilot_opens": NOW + 14 * DAY,
        "pilot_closes": NOW + 28 * DAY,
        "automatic_date": D,
    }
    return ReleaseNotified(**{**fields, **changes})


def decision(
    epoch: int,
    mode: Mode,
    automatic_date: datetime = D,
    *,
    min_epoch: int | None = None,
    at: Instant = NOW,
    waves: tuple[Wave, ...] = (),
) -> RolloutDecision:
    """A decision on it; without `min_epoch` it halts what came before."""
    return RolloutDecision(
        release_id=RELEASE,
        epoch=epoch,
        min_epoch=epoch if min_epoch is None else min_epoch,
        mode=mode,
        mode_since=at,
        waves=waves,
        automatic_date=automatic_date,
        reason="so decided",
        confirmed_by=None,
        decided_at=at,
    )


class Answers(NamedTuple):
    """Who answers for a hub: a Party, under one of its User IDs."""

    party: str
    user: str


async def put_hubs(
    tx: Tx, hubs: Iterable[int], imports: Answers, gas: Answers | None, *, firmware: str, region: str
) -> None:
    """Put commissioned hubs of the model into the inventory."""
    await tx.copy_records_to_table(
        "hub",
        schema_name="smi",
        columns=[
            "hub", "part", "device_type", "status", "status_since", "manufacturer", "model", "hardware",
            "firmware", "gbcs", "region", "import_party", "import_user", "import_since", "gas_party",
            "gas_user", "gas_since", "smi_version",
        ],
        records=[
            (
                hub, partition_of_hub(HubId(hub)), "CHF", "Commissioned", SINCE, "Acme", "CH9", "H1", firmware,
                "4.1", region, *imports, SINCE, *(gas or (None, None)), gas and SINCE, 1,
            )
            for hub in hubs
        ],
    )  # fmt: skip


def euis(hubs: Iterable[int]) -> list[str]:
    """Hubs as Suppliers write them."""
    return [hub_eui64(HubId(hub)) for hub in hubs]


WIDE = "\U00010400"
"""A letter of four bytes: of the characters that a text may have, none takes more in JSON."""


def longest_waves(*, region: int = 60, regions: int = 500) -> list[dict[str, Any]]:
    """Waves that say as much as a request may: 100 of them, all open, with so many regions in all."""
    return [
        {
            "name": f"{number:03d}".ljust(40, WIDE),
            "opens": "2026-09-01T00:00:00Z",
            "automatic_date": "2027-01-31T00:00:00Z",
            "regions": [f"{each:03d}".ljust(region, WIDE) for each in range(regions // 100)],
        }
        for number in range(100)
    ]
