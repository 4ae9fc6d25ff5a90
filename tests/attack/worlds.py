"""Two worlds that differ in the neighbours of one Supplier only, and everything that this Supplier can read in each.

All services run on real Postgres, the local broker and the virtual clock. The first Supplier, `FIRST`, does the same in
every world, and so does the DCC. Which Party is the other Supplier of a hub, at what time of day it says something, in
how many requests, and what it says without effect, is what a world is made of.
"""

import json
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from chfw_cli.tokens import Issuer
from chfw_common.kernel.ids import HubId, PartyId, UserId, hub_eui64, hub_hex
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role
from chfw_common.simulation.driver import Simulation
from tests.support.databases import Databases
from tests.support.stack import simulated

BEGINS = datetime(2027, 1, 4, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RELEASE = "ch-2027-01"
FIRST, FIRST_USER = PartyId("first"), UserId("90-B3-D5-1F-00-00-00-01")
DCC, DCC_USER = PartyId("DCC"), UserId("90-B3-D5-1F-30-00-00-02")
HUBS = tuple(HubId(0x00DB_1234_0000_0000 + n) for n in range(144))
VISITS = (1, 5, 9, 13, 17, 21)
"""Hours of a day at which every world stands still, so that no world is looked at more often than another."""
QUIET_UNTIL = 22 * DAY


@dataclass(frozen=True)
class Neighbour:
    """A second Supplier: its name, and how it goes about what all neighbours do.

    `hour` is one of `VISITS`. It names its hubs in requests of at most `batch`, with so many `rejected` entries.
    `repeats`: it sends each request once more. `noise`: it first says what has no effect.
    """

    party: PartyId
    hour: int
    batch: int
    rejected: int
    repeats: bool
    noise: bool

    @property
    def user(self) -> UserId:
        """Its User ID."""
        return UserId(f"user of {self.party}")


@dataclass(frozen=True)
class Neighbourhood:
    """The second Supplier of each hub, and the one that takes its place for some of them."""

    neighbours: tuple[Neighbour, ...]
    second: tuple[int, ...]
    next: tuple[int, ...]
    change_hour: int

    def hubs_of(self, number: int, chosen: Iterable[int]) -> list[HubId]:
        """Those of the chosen hubs whose second Supplier it is."""
        return [HUBS[n] for n in chosen if self.second[n] == number]


def draw(seed: int, number: int) -> Neighbourhood:
    """A neighbourhood of a seed; each number gives another one."""
    dice = random.Random(f"neighbourhood {seed} {number}")
    count = dice.randint(2, 4)
    neighbours = tuple(
        Neighbour(
            party=PartyId(f"n{dice.getrandbits(32):08x}"),
            hour=dice.choice(VISITS),
            batch=dice.choice((2, 5, 100)),
            rejected=dice.choice((0, 1, 40)),
            repeats=dice.random() < 0.5,
            noise=dice.random() < 0.5,
        )
        for _ in range(count)
    )
    second = tuple(dice.randrange(count) for _ in HUBS)
    return Neighbourhood(
        neighbours, second, tuple((n + dice.randrange(1, count)) % count for n in second), dice.choice(VISITS)
    )


# What happens to which hubs, in every world. Indices of `HUBS`.
OWN = [n for n in range(len(HUBS)) if n % 2 == 0]
"""The first Supplier instructs these on day 1."""
AGREED = [n for n in range(len(HUBS)) if n % 3 == 0]
"""Their second Supplier instructs on day 2."""
DECLINED = [n for n in range(len(HUBS)) if n % 6 == 1]
"""Their second Supplier declines on day 2, where nobody has instructed."""
UNSAID = [n for n in range(len(HUBS)) if n % 12 == 5]
"""Nobody says anything of these that has an effect."""
REPLACED = [n for n in range(len(HUBS)) if n % 9 == 4]
"""Their second Supplier is replaced on day 3."""


@dataclass
class Seen:
    """What the first Supplier has read: by what it asked for, in order; and where it stood at each look."""

    answers: list[str] = field(default_factory=list)
    hubs: list[dict[str, dict[str, Any]]] = field(default_factory=list)
    feed: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class World:
    """One simulated system, spoken to over HTTP."""

    simulation: Simulation
    issuer: Issuer
    clients: dict[str, httpx2.AsyncClient]
    seen: Seen = field(default_factory=Seen)
    own_requests: list[str] = field(default_factory=list)

    async def ask(
        self, service: str, method: str, path: str, who: tuple[PartyId, UserId, Role], **arguments: Any
    ) -> httpx2.Response:
        """One request."""
        headers = {"Authorization": f"Bearer {self.issuer.token(*who)}", **arguments.pop("headers", {})}
        return await self.clients[service].request(method, path, headers=headers, **arguments)

    async def dcc(self, service: str, path: str, body: Any, key: str) -> None:
        """The DCC does something, and it works."""
        who = (DCC, DCC_USER, Role.DCC)
        answer = await self.ask(service, "POST", path, who, json=body, headers={"Idempotency-Key": f'"{key}"'})
        assert answer.is_success, answer.text

    async def instruct(
        self, who: tuple[PartyId, UserId, Role], key: str, kind: str, at: str | None, entries: Sequence[str]
    ) -> str:
        """A Party says something; gives where its request is found."""
        body = {"kind": kind, "activate_at": at, "hubs": list(entries)}
        answer = await self.ask(
            "instruction", "POST", f"/v1/releases/{RELEASE}/instructions", who,
            json=body, headers={"Idempotency-Key": f'"{key}"'},
        )  # fmt: skip
        assert answer.status_code == 202, answer.text
        return answer.headers["location"]

    async def until(self, at: Instant) -> None:
        """Time goes on."""
        await self.simulation.run_until(at)


@asynccontextmanager
async def world(databases: Databases, dsn: str, keys: Path) -> AsyncIterator[World]:
    """A system on a database of its own in which nothing has happened yet."""
    issuer = Issuer.open(keys)
    async with simulated(databases, dsn, keys, BEGINS - HOUR, seed=5) as (simulation, clients):
        yield World(simulation, issuer, clients)


async def live(made: World, hood: Neighbourhood, *, looks: bool = True) -> Seen:
    """Three weeks of a world. The first Supplier looks in the evening of every day on which something was said, in the
    morning after, and at the end."""
    await made.until(BEGINS)
    await _load(made, hood)
    await made.dcc("notifier", "/v1/releases", _notice(), "notice")
    for day in range(1, 5):
        for hour in VISITS:
            await made.until(BEGINS + day * DAY + hour * HOUR)
            await _say(made, hood, day, hour)
            await made.simulation.settle()
        if looks:
            await _look(made)
    await made.until(BEGINS + 5 * DAY + 7 * HOUR)
    await _look(made)
    run = {"mode": "run", "reason": "Go.", "confirmed_by": "SEC Panel", "without_pilot": "Tried elsewhere."}
    for mode in ({"mode": "pilot", "reason": "The pilot opens."}, run):
        await made.dcc("governance", f"/v1/releases/{RELEASE}/decisions", mode, mode["mode"])
        await made.simulation.settle()
    for at in (8 * DAY, QUIET_UNTIL):
        await made.until(BEGINS + at + 7 * HOUR)
        await _look(made)
    return made.seen


async def _say(made: World, hood: Neighbourhood, day: int, hour: int) -> None:
    if hour == 13 and day in {1, 4}:
        chosen = OWN if day == 1 else [n for n in range(len(HUBS)) if n % 4 == 3]
        entries = [hub_eui64(HUBS[n]) for n in chosen]
        who = (FIRST, FIRST_USER, Role.IMPORT_SUPPLIER)
        made.own_requests.append(
            await made.instruct(who, f"own-{day}", "instruct", "2027-01-24T02:07:30Z", [*entries, "nonsense"])
        )
    if day == 2:
        for number, one in enumerate(hood.neighbours):
            if one.hour == hour:
                await _neighbour_says(made, hood, number)
    if day == 3 and hour == hood.change_hour:
        changes = [
            {"hub": hub_hex(HUBS[n]), "role": "GS", "party": other.party, "user_id": other.user}
            for n in REPLACED
            for other in (hood.neighbours[hood.next[n]],)
        ]
        await made.dcc("smi", "/v1/hubs:change-supplier", {"changes": changes}, "change")


async def _neighbour_says(made: World, hood: Neighbourhood, number: int) -> None:
    one = hood.neighbours[number]
    agreed, declined = hood.hubs_of(number, AGREED), hood.hubs_of(number, DECLINED)
    if one.noise:
        unsaid = hood.hubs_of(number, UNSAID)
        await _in_batches(made, one, "noise-1", "decline", None, unsaid)
        await _in_batches(made, one, "noise-2", "withdraw", None, [*unsaid, *declined])
    await _in_batches(made, one, "agreed", "instruct", "2027-01-16T03:00:00Z", agreed)
    await _in_batches(made, one, "declined", "decline", None, declined)
    if one.repeats:
        await _in_batches(made, one, "again", "instruct", "2027-01-16T03:00:00Z", agreed)


async def _in_batches(made: World, one: Neighbour, key: str, kind: str, at: str | None, hubs: Sequence[HubId]) -> None:
    who = (one.party, one.user, Role.GAS_SUPPLIER)
    for number, start in enumerate(range(0, len(hubs), one.batch)):
        entries = [hub_eui64(hub) for hub in hubs[start : start + one.batch]]
        entries += [f"rejected {n}" for n in range(one.rejected)]
        await made.instruct(who, f"{key}-{number}", kind, at, entries)


async def _load(made: World, hood: Neighbourhood) -> None:
    since = (BEGINS - 400 * DAY).isoformat()
    hubs, devices = [], []
    for n, hub in enumerate(HUBS):
        other = hood.neighbours[hood.second[n]]
        what = {"hub": hub_hex(hub), "region": "North", "manufacturer": "106C", "model": "433100AC",
                "hardware": "00AC", "firmware": "01020304"}  # fmt: skip
        parties = ((FIRST, FIRST_USER, "IS"), (other.party, other.user, "GS"))
        devices.append(what)
        hubs.append({
            **what, "status": "Commissioned", "gbcs": "4.1", "device_type": "CHF",
            "responsible": [{"party": p, "user_id": u, "role": r, "since": since} for p, u, r in parties],
        })  # fmt: skip
    await made.dcc("smi", "/v1/hubs:load", {"hubs": hubs}, "hubs")
    await made.dcc("device-sim", "/v1/devices:load", {"devices": devices}, "devices")
    await made.simulation.settle()


def _notice() -> dict[str, Any]:
    cpl = {
        "manufacturer": "106C", "model": "433100AC", "hardware": ["00AC"], "firmware": "01020400",
        "image_hash": "5f" * 32, "predecessors": ["01020304"], "gbcs_versions": ["4.1"], "state": "Active",
    }  # fmt: skip
    return {
        "release_id": RELEASE, "cpl": cpl, "kind": "planned", "severity": "medium", "priority": 2,
        "note_reference": "RN", "rule": "voluntary", "automatic_date": (BEGINS + 75 * DAY).isoformat(),
        "pilot_opens": (BEGINS + 5 * DAY).isoformat(), "pilot_closes": (BEGINS + 6 * DAY).isoformat(),
    }  # fmt: skip


async def _look(made: World) -> None:
    """Read everything that a Supplier can read, and what it cannot."""
    who = (FIRST, FIRST_USER, Role.IMPORT_SUPPLIER)
    forms = ("application/json", "application/x-ndjson", "text/csv")
    lists = ("/v1/estate", f"/v1/releases/{RELEASE}/eligibility")
    asks: list[tuple[str, str, dict[str, str], Any]] = [
        ("notifier", url, {"Accept": form}, None) for url in lists for form in forms
    ]
    asks += [("notifier", f"{url}?limit=7&after=none", {}, None) for url in lists]
    asks += [("notifier", f"/v1/releases/{RELEASE}", {}, None), ("notifier", "/v1/releases", {}, None)]
    asks += [("smi", f"/v1/hubs/{hub_eui64(hub)}", {}, None) for hub in (HUBS[0], HUBS[4], HubId(7))]
    for url in made.own_requests:
        asks += [("instruction", url, {}, None)]
        asks += [("instruction", f"{url}/results", {"Accept": form}, None) for form in forms]
    asks += [("instruction", "/v1/instructions/00000000-0000-0000-0000-000000000000", {}, None)]
    asks += [("governance", f"/v1/releases/{RELEASE}/decisions", {}, None)]
    asks += [("notifier", f"/v1/releases/{RELEASE}/pilot:preview", {}, {"size": 5, "seed": "s"})]
    for service, url, headers, body in asks:
        method = "GET" if body is None else "POST"
        answer = await made.ask(service, method, url, who, headers=headers, json=body)
        made.seen.answers.append(
            f"{made.simulation.clock.now()} {method} {url} {headers} {answer.status_code} "
            f"{sorted(answer.headers.items())} {answer.text}"
        )
    estate = await made.ask("notifier", "GET", "/v1/estate?limit=10000", who)
    made.seen.hubs.append({hub["hub"]: hub for hub in estate.json()["hubs"]})
    made.seen.feed = []
    after = ""
    while True:
        page = await made.ask("notifier", "GET", f"/v1/events?limit=3{after}", who)
        made.seen.answers.append(f"feed {sorted(page.headers.items())} {page.text}")
        found = json.loads(page.text)
        if not found["events"]:
            return
        made.seen.feed += found["events"]
        after = f"&after={found['next']}"
