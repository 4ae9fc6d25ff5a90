"""One Party floods intake with large requests while another sends a single entry every second: what the other notices.

usage: python -m tests.load.fairness_bench [--requests 200] [--entries 50000] [--seconds 60] [--hubs 100000] [--seed 5]

Real servers and services of its own, with the quotas as they are shipped. The flood comes at once; what is refused is
sent again as soon as `Retry-After` allows, until all is taken or the time is up. The clock runs as the machine's does.
How long the other waits is read in the tables: from acceptance to the verdict in those of intake, until the answer
stands in the ledger by looking there. `--open-entries` sets the quota of entries without a verdict.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import orjson

from chfw_cli.demo.backlog import Backlog
from chfw_cli.demo.client import Client, over_network
from chfw_cli.demo.estate import LARGE, draw_estate, user_id
from chfw_cli.demo.live import just_before
from chfw_cli.demo.pacing import PacedTimeline
from chfw_cli.demo.story import RELEASE_ID, Story, write_story
from chfw_cli.demo.tell import seed
from chfw_cli.local.services import DATABASE
from chfw_cli.local.stack import Stack
from chfw_cli.local.state import StateDir
from chfw_cli.tokens import Issuer
from chfw_common.kernel.ids import HubId, PartyId, hub_eui64
from chfw_common.kernel.roles import Role
from chfw_common.runtime.clock import Pace, machine_now, write_pace
from chfw_common.topology import partition_of_hub
from tests.load.main_line_bench import release_body, say

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
    """What was measured; seconds are of the machine, memory is resident."""

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
    flood_merged_after_seconds: float = 0.0
    instruction_peak_mb: float = 0.0
    scheduler_peak_mb: float = 0.0


class Flood:
    """The requests of the Party that floods."""

    def __init__(self, url: str, token: str, hubs: Sequence[HubId], begins: Any) -> None:
        self._client = httpx2.AsyncClient(base_url=url, timeout=TIMEOUT, limits=httpx2.Limits(max_connections=None))
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        named = [hub_eui64(hub) for hub in hubs]
        # Two times in turn, so that each request has to be merged anew.
        self._bodies = [
            orjson.dumps({"kind": "instruct", "activate_at": (begins + day).isoformat(), "hubs": named})
            for day in (timedelta(days=40), timedelta(days=41))
        ]
        self.first: Counter[int] = Counter()
        self.codes: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.taken = 0

    async def send(self, number: int) -> None:
        """Send one request until it is taken."""
        headers = {**self._headers, "Idempotency-Key": f'"flood-{number}"'}
        first = True
        while True:
            answer = await self._client.post(PATH, content=self._bodies[number % 2], headers=headers)
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

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()


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
    environment = {} if arguments.open_entries is None else {"CHFW_OPEN_ENTRIES": str(arguments.open_entries)}
    async with Stack(state, clock="paced", prepare=just_before(story.begins), extra_env=environment) as stack:
        await _load(stack, story, Issuer.open(state.keys))
        say(f"{arguments.hubs:,} hubs loaded and enrolled")
        return await _flood(stack, story, Issuer.open(state.keys), arguments)


async def _load(stack: Stack, story: Story, issuer: Issuer) -> None:
    dsn = stack.postgres.dsn(DATABASE)
    backlog, client = Backlog(dsn, stack.bootstrap), Client(over_network(stack.urls), issuer)
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
    url = stack.urls["instruction"]
    hubs = story.estate.hubs
    theirs = [hub.hub for hub in hubs if hub.import_party == FLOODER][: arguments.entries]
    others = [hub.hub for hub in hubs if hub.gas_party == OTHER and FLOODER not in hub.parties]
    first, second = Role.IMPORT_SUPPLIER, Role.GAS_SUPPLIER
    flood = Flood(url, issuer.token(FLOODER, user_id(FLOODER, first), first), theirs, story.begins)
    other = Other(url, issuer.token(OTHER, user_id(OTHER, second), second), others)
    admin = await asyncpg.connect(stack.postgres.dsn(DATABASE))
    watching = asyncio.create_task(other.watch(admin))
    tasks = [asyncio.create_task(flood.send(number)) for number in range(arguments.requests)]
    try:
        await other.send_for(arguments.seconds)
        if watching.done():
            watching.result()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        ended = time.monotonic()
        say(f"taken {flood.taken}, refused {dict(flood.codes)}; {len(other.waiting)} of {other.sent} are not merged")
        await _merged(other, ended)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        peak = stack.peak_rss_mb()
        return Figures(
            taken_at_once=flood.first[202],
            refused_at_once=flood.first[429],
            taken=flood.taken,
            refused=dict(flood.codes),
            failed=dict(flood.failed),
            others_sent=other.sent,
            others_refused=other.refused,
            answered=spread(other.answered),
            judged=spread([row[0] for row in await admin.fetch(_JUDGED, OTHER)]),
            merged=spread(other.merged),
            flood_merged_after_seconds=round(time.monotonic() - ended, 1),
            instruction_peak_mb=peak["instruction"],
            scheduler_peak_mb=peak["scheduler"],
        )
    finally:
        watching.cancel()
        await flood.close()
        await other.close()
        await admin.close()


async def _merged(other: Other, ended: float) -> None:
    """Wait until every answer of the other stands in the ledger, or for so long."""
    while other.waiting and time.monotonic() - ended < MERGE_LIMIT:  # noqa: ASYNC110 - another task works on it
        await asyncio.sleep(LOOK_EVERY)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--entries", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--hubs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--open-entries", type=int)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chfw-bench-") as place:
        Path(place).chmod(0o755)
        figures = asyncio.run(bench(arguments, StateDir(Path(place))))
    say(orjson.dumps(asdict(figures), option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
