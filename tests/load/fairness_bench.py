"""One Party floods intake with large requests while another sends a single entry every second: what the other notices.

usage: python -m tests.load.fairness_bench [--requests 200] [--entries 50000] [--seconds 60] [--hubs 100000] [--seed 5]
           [--set CHFW_ENTRIES_BURST=1000000]

Real servers and services of its own, with the quotas as they are shipped. The flood comes at once; what is refused is
sent again as soon as `Retry-After` allows, until all is taken or the time is up. The clock runs as the machine's does.
How long the other waits is read in the tables: from acceptance to the verdict in those of intake, until the answer
stands in the ledger by looking there. `--set NAME=VALUE` sets what the services are told.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import orjson

from chfw_cli.demo.backlog import Backlog
from chfw_cli.demo.client import Client, over_network
from chfw_cli.demo.estate import LARGE, draw_estate, user_id
from chfw_cli.demo.live import just_before
from chfw_cli.demo.oracle import expect
from chfw_cli.demo.pacing import PacedTimeline
from chfw_cli.demo.story import IMAGE, RELEASE_ID, Story, write_story
from chfw_cli.demo.tell import seed
from chfw_cli.local.services import DATABASE
from chfw_cli.local.stack import Stack
from chfw_cli.local.state import StateDir
from chfw_cli.tokens import Issuer
from chfw_common.kernel.ids import HubId, PartyId, hub_eui64
from chfw_common.kernel.roles import Role
from chfw_common.runtime.clock import Pace, machine_now, write_pace
from chfw_common.topology import partition_of_hub
from tests.load.main_line_bench import cpu_seconds, release_body, say

FLOODER, OTHER = map(PartyId, LARGE)
PATH = f"/v1/releases/{RELEASE_ID}/instructions"
LOOK_EVERY = 0.2
MERGE_LIMIT = 120.0
TIMEOUT = 300.0

_JUDGED = """
select extract(epoch from done_at - received_at)::float8 from instruction.request
where party = $1 and done_at is not null order by received_at
"""
_MERGED = """
select l.hub from unnest($2::smallint[], $3::bigint[]) asked(part, hub)
join scheduler.ledger l on l.release_id = $1 and l.part = asked.part and l.hub = asked.hub
where exists (select from json_array_elements(l.answers) said where said ->> 0 = $4)
"""


@dataclass(slots=True)
class Figures:
    """What was measured; seconds are of the machine, memory is resident.

    `cpu_seconds`: processor time while the flood lasted. `load`: of the machine at the end, whatever else runs on it.
    """

    taken_at_once: int = 0
    refused_at_once: int = 0
    taken: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    others_sent: int = 0
    others_refused: int = 0
    answered: dict[str, float] = field(default_factory=dict)
    judged: dict[str, float] = field(default_factory=dict)
    merged: dict[str, float] = field(default_factory=dict)
    step_seconds: float = 0.0
    consume_seconds: float = 0.0
    flood_merged_after_seconds: float = 0.0
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    load: float = 0.0
    instruction_peak_mb: float = 0.0
    scheduler_peak_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What the Party that floods sends, and for how long."""

    url: str
    token: str
    bodies: tuple[bytes, ...]
    requests: int
    seconds: float


class Flood:
    """The requests of the Party that floods."""

    def __init__(self, plan: Plan) -> None:
        limits = httpx2.Limits(max_connections=None)
        self._client = httpx2.AsyncClient(base_url=plan.url, timeout=TIMEOUT, limits=limits)
        self._headers = {"Authorization": f"Bearer {plan.token}", "Content-Type": "application/json"}
        self._bodies = plan.bodies
        self.first: Counter[int] = Counter()
        self.codes: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.taken = 0

    async def send(self, number: int) -> None:
        """Send one request until it is taken."""
        headers = {**self._headers, "Idempotency-Key": f'"flood-{number}"'}
        first = True
        while True:
            try:
                body = self._bodies[number % len(self._bodies)]
                answer = await self._client.post(PATH, content=body, headers=headers)
            except httpx2.TransportError as error:
                # The listener bounds the connections of an address, and takes no more.
                self.codes[type(error).__name__] += 1
                await asyncio.sleep(1)
                continue
            if first:
                self.first[answer.status_code] += 1
                first = False
            if answer.status_code == 202:
                self.taken += 1
                return
            if answer.status_code != 429:
                self.failed[f"{answer.status_code} {answer.text[:80]}"] += 1
                return
            self.codes[answer.json()["code"]] += 1
            await asyncio.sleep(int(answer.headers["retry-after"]))

    async def send_all(self, requests: int, seconds: float) -> None:
        """Send them all at once; give up what is not taken in time."""
        tasks = [asyncio.create_task(self.send(number)) for number in range(requests)]
        await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()


Flooded = tuple[int, Counter[int], Counter[str], Counter[str]]


def flood(plan: Plan) -> Flooded:
    """Flood from a process of its own: how many were taken, answers to the first try, refusals, other answers."""
    sender = Flood(plan)
    asyncio.run(sender.send_all(plan.requests, plan.seconds))
    return sender.taken, sender.first, sender.codes, sender.failed


class Other:
    """The Party that sends a single entry every second."""

    def __init__(self, url: str, token: str, hubs: Sequence[HubId]) -> None:
        self._client = httpx2.AsyncClient(base_url=url, timeout=TIMEOUT)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._hubs = list(hubs)
        self.waiting: dict[HubId, float] = {}
        self.answered: list[float] = []
        self.merged: list[float] = []
        self.sent = self.refused = 0

    async def send_for(self, seconds: float) -> None:
        """One request a second, whatever became of those before."""
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while (passed := time.monotonic() - begun) < seconds:
                group.create_task(self._send(self._hubs[self.sent]))
                self.sent += 1
                await asyncio.sleep(max(0.0, self.sent - passed))

    async def _send(self, hub: HubId) -> None:
        begun = time.monotonic()
        body = {"kind": "instruct", "hubs": [hub_eui64(hub)]}
        answer = await self._client.post(PATH, json=body, headers={**self._headers, "Idempotency-Key": f'"one-{hub}"'})
        self.answered.append(time.monotonic() - begun)
        if answer.status_code == 202:
            self.waiting[hub] = time.monotonic()
        else:
            self.refused += 1

    async def watch(self, admin: Any) -> None:
        """See answers arrive in the ledger, until cancelled."""
        while True:
            hubs = list(self.waiting)
            rows = await admin.fetch(_MERGED, RELEASE_ID, [partition_of_hub(hub) for hub in hubs], hubs, OTHER)
            for row in rows:
                self.merged.append(time.monotonic() - self.waiting.pop(HubId(row["hub"])))
            await asyncio.sleep(LOOK_EVERY)

    async def seconds_of_the_service(self, operators: str) -> dict[str, float]:
        """How long a step of the judge, and a batch of records, took intake on average."""
        text = (await self._client.get(f"{operators}/metrics")).text
        found: dict[str, list[float]] = {}
        for line in text.splitlines():
            name, _, value = line.rpartition(" ")
            name = name.partition("{")[0]
            if name.endswith(("_seconds_sum", "_seconds_count")):
                kind, _, what = name.rpartition("_")
                found.setdefault(kind, [0.0, 0.0])[what == "count"] += float(value)
        return {kind: round(total / max(count, 1), 3) for kind, (total, count) in found.items()}

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()


def spread(values: Sequence[float]) -> dict[str, float]:
    """p50, p99 and the greatest."""
    if not values:
        return {}
    ordered = sorted(values)
    place = min(len(ordered) - 1, round(0.99 * (len(ordered) - 1) + 0.5))
    return {
        "p50": round(statistics.median(ordered), 3),
        "p99": round(ordered[place], 3),
        "max": round(ordered[-1], 3),
        "n": len(ordered),
    }


async def bench(arguments: argparse.Namespace, state: StateDir) -> Figures:
    """Start everything, load, flood, look."""
    story = write_story(draw_estate(arguments.seed, arguments.hubs))
    environment = dict(pair.split("=", 1) for pair in arguments.set)
    async with Stack(state, clock="paced", prepare=just_before(story.begins), extra_env=environment) as stack:
        await _load(stack, story, Issuer.open(state.keys))
        say(f"{arguments.hubs:,} hubs loaded and enrolled")
        return await _flood(stack, story, Issuer.open(state.keys), arguments)


async def _load(stack: Stack, story: Story, issuer: Issuer) -> None:
    dsn = stack.postgres.dsn(DATABASE)
    backlog, client = Backlog(dsn, stack.kafka_access), Client(over_network(stack.urls, stack.operator_urls), issuer)
    try:
        timeline = PacedTimeline(backlog)
        await seed(client, story)
        await timeline.until(story.begins)
        await client.post("notifier", "/v1/releases", release_body(story), key="notice")
        await timeline.until(story.begins + timedelta(hours=1))
        admin = await asyncpg.connect(dsn)
        try:
            at = story.begins + timedelta(hours=1)
            await write_pace(admin, Pace(machine_now(), at, 1.0, at + timedelta(hours=12)))
        finally:
            await admin.close()
    finally:
        await client.close()
        await backlog.close()


async def _flood(stack: Stack, story: Story, issuer: Issuer, arguments: argparse.Namespace) -> Figures:
    url, hubs = stack.urls["instruction"], story.estate.hubs
    theirs = [hub_eui64(hub.hub) for hub in hubs if hub.import_party == FLOODER][: arguments.entries]
    for_it = expect(IMAGE, story.boxes(), ())
    others = [hub.hub for hub in hubs if hub.gas_party == OTHER and FLOODER not in hub.parties and hub.hub in for_it]
    # Two times in turn, so that each request has to be merged anew.
    bodies = tuple(
        orjson.dumps({"kind": "instruct", "activate_at": (story.begins + day).isoformat(), "hubs": theirs})
        for day in (timedelta(days=40), timedelta(days=41))
    )
    first, second = Role.IMPORT_SUPPLIER, Role.GAS_SUPPLIER
    token = issuer.token(FLOODER, user_id(FLOODER, first), first)
    plan = Plan(url, token, bodies, arguments.requests, arguments.seconds)
    other = Other(url, issuer.token(OTHER, user_id(OTHER, second), second), others)
    admin = await asyncpg.connect(stack.postgres.dsn(DATABASE))
    watching = asyncio.create_task(other.watch(admin))
    before = cpu_seconds(stack)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        flooding = asyncio.get_running_loop().run_in_executor(pool, flood, plan)
        await other.send_for(arguments.seconds)
        flooded = await flooding
    ended, seconds = time.monotonic(), await other.seconds_of_the_service(stack.operator_urls["instruction"])
    cpu = {name: round(used - before[name], 1) for name, used in cpu_seconds(stack).items()}
    say(f"{len(other.waiting)} of {other.sent} are not merged when the flood ends")
    while other.waiting and not watching.done() and time.monotonic() - ended < MERGE_LIMIT:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_EVERY)
    merged_after = time.monotonic() - ended
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    judged_seconds = [row[0] for row in await admin.fetch(_JUDGED, OTHER)]
    say(f"judged, one after the other: {' '.join(f'{one:.1f}' for one in judged_seconds)}")
    judged = spread(judged_seconds)
    await other.close()
    await admin.close()
    figures = _figures(stack, other, flooded, seconds, judged=judged, merged_after=merged_after)
    figures.cpu_seconds = cpu
    return figures


def _figures(
    stack: Stack, other: Other, flooded: Flooded, seconds: dict[str, float], *, judged: Any, merged_after: float
) -> Figures:
    taken, first, refused, failed = flooded
    peak = stack.peak_rss_mb()
    return Figures(
        taken_at_once=first[202],
        refused_at_once=first[429],
        taken=taken,
        refused=dict(refused),
        failed=dict(failed),
        others_sent=other.sent,
        others_refused=other.refused,
        answered=spread(other.answered),
        judged=judged,
        merged=spread(other.merged),
        step_seconds=seconds["chfw_tick_seconds"],
        consume_seconds=seconds["chfw_consume_seconds"],
        flood_merged_after_seconds=round(merged_after, 1),
        load=round(os.getloadavg()[0], 1),
        instruction_peak_mb=peak["instruction"],
        scheduler_peak_mb=peak["scheduler"],
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--entries", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--hubs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="environment of the services")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chfw-bench-") as place:
        Path(place).chmod(0o755)
        figures = asyncio.run(bench(arguments, StateDir(Path(place))))
    say(orjson.dumps(asdict(figures), option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
