"""What happens in the demonstration, as data: who sends what, when. Nothing here is done yet."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from chfw_cli.demo.estate import (
    GBCS,
    HARDWARE,
    LARGE,
    MANUFACTURER,
    MODEL,
    NEW_FIRMWARE,
    OLD_FIRMWARE,
    OLDER_FIRMWARE,
    Estate,
    EstateHub,
    user_id,
)
from chfw_cli.demo.oracle import Box, Image, Wave, wave_of
from chfw_common.kernel.ids import HubId, PartyId, UserId, hub_eui64
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role

BEGINS = datetime(2027, 1, 4, tzinfo=UTC)
RELEASE_ID = "ch-2027-01"
PILOT_SIZE, PILOT_CAP = 50, 300
BATCH = 50_000
"""Entries of the one request of each large Supplier (R3-11), or as many as it has hubs for."""
BAD_SHARE = 0.01
DAY = timedelta(days=1)
PILOT_OPENS, PILOT_CLOSES, RUNS, AUTOMATIC = 6 * DAY, 12 * DAY, 13 * DAY, 75 * DAY
WAVES = (
    Wave("first", (), 500, BEGINS + 14 * DAY, BEGINS + 46 * DAY),
    Wave("last", ("4G North",), 1_000, BEGINS + 54 * DAY, BEGINS + AUTOMATIC),
)
"""A twentieth of all hubs goes before the rest; a tenth of a small region comes last, a soak after it."""
ENDS_BY = AUTOMATIC + 3 * DAY
LONGEST = AUTOMATIC + 40 * DAY
"""When the story is given up, should hubs still be open: retries and silence take their time."""
IMAGE_HASH = "5f" * 32
IMAGE = Image(
    MODEL,
    HARDWARE,
    NEW_FIRMWARE,
    frozenset({OLD_FIRMWARE, OLDER_FIRMWARE}),
    frozenset({GBCS}),
    BEGINS + AUTOMATIC,
    BEGINS + PILOT_OPENS,
    PILOT_CAP,
    WAVES,
)
"""The release as the oracle sees it."""
MALFORMED = ("", "00-DB-12-34", "not an id", "00-DB-12-34-56-78-90-G0", "00DB123456789", "00-db-12-34-56-78-90-a0-ff")


@dataclass(frozen=True, slots=True)
class Request:
    """One instruction of a Party under one User ID. `entries` are the ids as they are sent, good and bad.

    Those of one day that are `measured` are sent at once, and their answers are timed.
    """

    key: str
    at: timedelta
    party: PartyId
    user_id: UserId
    role: Role
    kind: str
    group: str
    activate_at: Instant | None
    entries: tuple[str, ...]
    measured: bool = False

    @property
    def received_at(self) -> Instant:
        """When it is sent, and so received."""
        return BEGINS + self.at


@dataclass(frozen=True, slots=True)
class DecisionStep:
    """One decision of the DCC."""

    key: str
    at: timedelta
    mode: str
    reason: str
    confirmed_by: str | None = None
    without_pilot: str | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """A release, the requests of the Suppliers and the decisions of the DCC, by the time they are made."""

    estate: Estate
    begins: Instant
    automatic_date: Instant
    requests: tuple[Request, ...]
    decisions: tuple[DecisionStep, ...]

    def boxes(self) -> dict[int, Box]:
        """The hubs as the oracle sees them, each by its id."""
        return {hub.hub: hub for hub in self.estate.hubs}

    def release_body(self) -> dict[str, Any]:
        """The notice the DCC posts."""
        return {
            "release_id": RELEASE_ID,
            "cpl": {
                "manufacturer": MANUFACTURER,
                "model": MODEL,
                "hardware": [HARDWARE],
                "firmware": NEW_FIRMWARE,
                "image_hash": IMAGE_HASH,
                "predecessors": [OLD_FIRMWARE, OLDER_FIRMWARE],
                "gbcs_versions": [GBCS],
                "state": "Active",
            },
            "kind": "planned",
            "severity": "medium",
            "priority": 2,
            "note_reference": "DCC-RN-2027-014",
            "rule": "voluntary",
            "pilot_cap": PILOT_CAP,
            "pilot_opens": (self.begins + PILOT_OPENS).isoformat(),
            "pilot_closes": (self.begins + PILOT_CLOSES).isoformat(),
            "automatic_date": self.automatic_date.isoformat(),
            "waves": [
                {
                    "name": wave.name,
                    "regions": wave.regions,
                    "share_below": wave.share,
                    "opens": wave.opens.isoformat(),
                    "automatic_date": wave.automatic_date.isoformat(),
                }
                for wave in WAVES
            ],
        }


def write_story(estate: Estate) -> Story:
    """The story of an estate: a pilot of 50, then two large Suppliers that overlap, then everybody else's ways."""
    draw = random.Random(f"story {estate.seed}")
    candidates = [hub for hub in estate.hubs if _fits(hub)]
    shared_by_large = [hub for hub in candidates if set(hub.parties) == set(LARGE)]
    pilot = frozenset(hub.hub for hub in draw.sample(shared_by_large, min(PILOT_SIZE, len(shared_by_large))))
    rest = [hub for hub in candidates if hub.hub not in pilot]
    chosen = [hub for hub in candidates if hub.hub in pilot]
    author = _Author()
    for party in map(PartyId, LARGE):
        author.ask(party, DAY, "instruct", "pilot", 8 * DAY, chosen)
    author.batch(PartyId("SUP01"), Role.IMPORT_SUPPLIER, 2 * DAY, 20 * DAY, _batch(draw, estate, pilot, "SUP01"))
    author.batch(PartyId("SUP02"), Role.GAS_SUPPLIER, 2 * DAY, 25 * DAY, _batch(draw, estate, pilot, "SUP02"))
    author.ask(PartyId("SUP03"), 3 * DAY, "decline", "safe_launch", None, rest)
    author.ask(PartyId("SUP04"), 3 * DAY, "instruct", "safe_launch", None, rest)
    author.ask(PartyId("SUP05"), 3 * DAY, "instruct", "safe_launch", 30 * DAY, rest)
    author.ask(PartyId("SUP05"), 5 * DAY, "withdraw", "safe_launch", None, rest)
    author.ask(PartyId("SUP06"), 4 * DAY, "agree", "safe_launch", 25 * DAY, rest)
    author.ask(PartyId("SUP07"), 3 * DAY, "instruct", "safe_launch", 18 * DAY, rest)
    author.ask(PartyId("SUP07"), 9 * DAY, "instruct", "safe_launch", 33 * DAY, rest, lambda hub: hub.hub % 4 == 0)
    return Story(
        estate=estate,
        begins=BEGINS,
        automatic_date=BEGINS + AUTOMATIC,
        requests=tuple(sorted(author.requests, key=lambda request: (request.at, request.key))),
        decisions=(
            DecisionStep("pilot", PILOT_OPENS, "pilot", "The pilot opens."),
            DecisionStep("run", RUNS, "run", "The pilot has ended well.", "SEC Panel"),
        ),
    )


class _Author:
    """Collects requests."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def ask(
        self,
        party: PartyId,
        at: timedelta,
        kind: str,
        group: str,
        activate: timedelta | None,
        hubs: list[EstateHub],
        only: Callable[[EstateHub], bool] = lambda _: True,
    ) -> None:
        """Write requests of a Party for those of the hubs that it answers for."""
        self.requests += requests_of(party, at, kind, group, activate, filter(only, hubs))

    def batch(self, party: PartyId, role: Role, at: timedelta, activate: timedelta, entries: tuple[str, ...]) -> None:
        """Write the one large request of a Party."""
        self.requests.append(make_request(party, role, at, "instruct", "safe_launch", activate, entries, measured=True))


def requests_of(
    party: PartyId, at: timedelta, kind: str, group: str, activate: timedelta | None, hubs: Iterable[EstateHub]
) -> list[Request]:
    """The requests of a Party for those of the hubs that it answers for: one for each of its User IDs, hubs of both
    roles under the Import one."""
    by_role: dict[Role, list[HubId]] = {Role.IMPORT_SUPPLIER: [], Role.GAS_SUPPLIER: []}
    for hub in hubs:
        if party in hub.parties:
            by_role[Role.IMPORT_SUPPLIER if hub.import_party == party else Role.GAS_SUPPLIER].append(hub.hub)
    return [
        make_request(party, role, at, kind, group, activate, tuple(map(hub_eui64, named)))
        for role, named in by_role.items()
        if named
    ]


def make_request(
    party: PartyId,
    role: Role,
    at: timedelta,
    kind: str,
    group: str,
    activate: timedelta | None,
    entries: tuple[str, ...],
    *,
    measured: bool = False,
) -> Request:
    return Request(
        key=f"{party}-{role}-{kind}-{group}-{at.days}",
        at=at,
        party=party,
        user_id=user_id(party, role),
        role=role,
        kind=kind,
        group=group,
        activate_at=None if activate is None else BEGINS + activate,
        entries=entries,
        measured=measured,
    )


def _batch(draw: random.Random, estate: Estate, pilot: frozenset[HubId], party: str) -> tuple[str, ...]:
    """The entries of a large Supplier: hubs it may instruct, about one in a hundred bad, of every kind, all mixed."""
    first = party == LARGE[0]
    own = [hub for hub in estate.hubs if (hub.import_party if first else hub.gas_party) == party]
    fits = [hub for hub in own if _fits(hub) and hub.hub not in pilot]
    late = {hub.hub for hub in fits if _goes_last(hub)}
    good = [hub.hub for hub in fits if hub.hub not in late]
    size = min(BATCH, len(good))
    bad = max(int(size * BAD_SHARE), 12)
    good = draw.sample(good, size - bad)
    unfit = [hub.hub for hub in own if not _fits(hub)]
    foreign = [hub.hub for hub in estate.hubs if party not in hub.parties]
    kinds: tuple[Sequence[str], ...] = (
        MALFORMED,
        [hub_eui64(hub) for hub in good],
        [hub_eui64(HubId(0x7FFF_0000_0000_0000 + draw.getrandbits(40))) for _ in range(bad)],
        [hub_eui64(hub) for hub in foreign],
        [hub_eui64(hub) for hub in unfit],
        [hub_eui64(hub) for hub in sorted(late)],
    )
    share = (1, 2, 2, 2, 5, 2)
    wrong = [draw.choice(kinds[kind]) for kind in draw.choices(range(len(kinds)), share, k=bad) if kinds[kind]]
    entries = [_spelling(draw, hub) for hub in good] + wrong
    draw.shuffle(entries)
    return tuple(entries)


def _spelling(draw: random.Random, hub: HubId) -> str:
    """Both cases and both spellings occur in real lists."""
    text = hub_eui64(hub)
    pick = draw.random()
    if pick < 0.8:
        return text
    return text.lower() if pick < 0.9 else text.replace("-", "")


def _goes_last(hub: EstateHub) -> bool:
    """Its wave opens after every time that a Supplier states."""
    return wave_of(IMAGE, hub) is WAVES[-1]


def _fits(hub: EstateHub) -> bool:
    return (
        hub.device_type == "CHF"
        and hub.model == MODEL
        and hub.gbcs == GBCS
        and hub.firmware in {OLD_FIRMWARE, OLDER_FIRMWARE}
        and hub.status in {"Commissioned", "Suspended"}
    )
