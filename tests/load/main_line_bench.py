"""The main line at full size: large requests timed one by one, then every hub due at once, until all are confirmed.

usage: python -m tests.load.main_line_bench [--hubs 100000] [--seed 5] [--rounds 3] [--requests-only] [--statements]

Real servers and services of its own. The two large Suppliers send their requests on an idle system: one alone, then
both at once, `--rounds` times (medians are told), then the first of them all its hubs in one request (250,000 entries
want --hubs 550000). Then everybody instructs, the DCC decides to run, and every hub is due at that moment: the
network delivers within minutes of a clock that runs an hour a second, nothing fails, nobody is out of reach. What is
told is how long it takes from the decision until the last hub is confirmed.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import psutil

from chfw_cli.demo.backlog import Backlog
from chfw_cli.demo.client import Client, over_network
from chfw_cli.demo.estate import LARGE, REGIONS, SUPPLIERS, draw_estate
from chfw_cli.demo.intake import Timed, instruct, instruct_timed
from chfw_cli.demo.live import just_before
from chfw_cli.demo.pacing import PacedTimeline
from chfw_cli.demo.story import Request, Story, requests_of, write_story
from chfw_cli.demo.tell import decide, seed
from chfw_cli.local.services import DATABASE
from chfw_cli.local.stack import Stack
from chfw_cli.local.state import StateDir
from chfw_cli.tokens import Issuer
from chfw_common.kernel.ids import PartyId, hub_eui64
from chfw_common.runtime.clock import Pace, machine_now, write_pace

ONE_REQUEST = 50_000
LARGEST = 250_000
HOUR_A_SECOND = 3_600.0
LOOK_EVERY = 0.25
GIVEN_UP_AFTER = 600.0
ENVIRONMENT = {
    "CHFW_PERMIT_TTL": "P5D",
    "CHFW_SILENT_AFTER": "P60D",
    "CHFW_RATE_NEVER_ANSWERS": "0",
    "CHFW_RATE_OUT_OF_REACH": orjson.dumps(
        {name: 0 for name, _ in REGIONS}
    ).decode(),
    "CHFW_DELIVERY_TIMES": orjson.dumps(
        {name: {"min": "PT1M", "max": "PT5M"} for name, _ in REGIONS}
    ).decode(),
    **{
        f"CHFW_RATE_{name}": "0"
        for name in (
            "FILE_TRANSFER_FAILURE", "HARDWARE_VERSION_MISMATCH", "FIRMWARE_IMAGE_DISCARDED", "NO_IMAGE_HELD",
            "HASH_MISMATCH", "ACTIVATION_FAILURE", "LOST_ALERT", "LATE_ALERT", "REPEATED_ALERT", "SLOW_RESTART",
        )
    },
}  # fmt: skip
"""A network that carries everything: what is measured is chfw."""

_CONFIRMED = "select count(*) filter (where state = 'confirmed'), count(*) from scheduler.ledger"
_OPEN = """
select exists (select from scheduler.ledger where claim_at is not null)
    or exists (select from scheduler.ledger where check_at is not null)
"""
"""Whether anything is left to do for a hub. Answered by indexes, so that to ask does not slow down what is measured."""
_STATEMENTS = """
select round(total_exec_time) as ms, calls, rows, left(regexp_replace(query, '\\s+', ' ', 'g'), 150) as query
from pg_stat_statements order by total_exec_time desc limit 30
"""


@dataclass(slots=True)
class Figures:
    """What was measured. Seconds are of the machine; memory is the resident memory of the instruction service."""

    hubs: int
    load_seconds: float = 0.0
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    confirmed: int = 0
    seconds: float = 0.0
    hubs_per_second: float = 0.0
    writes_per_hub: float = 0.0
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    peak_rss_mb: dict[str, float] = field(default_factory=dict)


async def bench(arguments: argparse.Namespace, state: StateDir) -> Figures:
    """Start everything, load, time requests, roll out."""
    story = write_story(draw_estate(arguments.seed, arguments.hubs))
    figures = Figures(arguments.hubs)
    async with Stack(state, clock="paced", prepare=just_before(story.begins), extra_env=ENVIRONMENT) as stack:
        dsn = stack.postgres.dsn(DATABASE)
        backlog = Backlog(dsn, stack.kafka_access)
        timeline = PacedTimeline(backlog)
        client = Client(over_network(stack.urls, stack.operator_urls), Issuer.open(state.keys))
        try:
            begun = time.monotonic()
            await seed(client, story)
            figures.load_seconds = time.monotonic() - begun
            await timeline.until(story.begins)
            await client.post("notifier", "/v1/releases", release_body(story), key="notice")
            await timeline.until(story.begins + timedelta(hours=1))
            say(f"{arguments.hubs:,} hubs loaded in {figures.load_seconds:.1f} s, and enrolled")
            await time_requests(stack, client, timeline, story, figures, arguments.rounds)
            if not arguments.requests_only:
                await roll_out(stack, client, timeline, story, figures, statements=arguments.statements)
            figures.peak_rss_mb = stack.peak_rss_mb()
        finally:
            await client.close()
            await backlog.close()
    return figures


def release_body(story: Story) -> dict[str, Any]:
    """The notice of the story with the first of its waves alone, open before the DCC decides: no hub has to wait."""
    body = story.release_body()
    return {**body, "waves": [{**wave, "opens": body["pilot_closes"]} for wave in body["waves"][:1]]}


async def time_requests(
    stack: Stack, client: Client, timeline: PacedTimeline, story: Story, figures: Figures, rounds: int
) -> None:
    """One large request, the pair at once, and the largest, each on an idle system; the medians of the rounds."""
    large = [request for request in story.requests if request.measured]
    one = next(request for request in large if request.party == LARGE[0])
    own = [hub.hub for hub in story.estate.hubs if hub.import_party == LARGE[0]][:LARGEST]
    largest = replace(one, key="largest", entries=tuple(map(hub_eui64, own)))
    kinds: dict[str, Sequence[Request]] = {"one": [one], "pair": large, "largest": [largest]}
    for kind, requests in kinds.items() if rounds else ():
        taken: list[Timed] = []
        cpu = cpu_seconds(stack)
        for number in range(rounds if kind != "largest" else 1):
            sent = [replace(request, key=f"{kind}-{number}-{request.key}") for request in requests]
            _, timed = await instruct_timed(client, sent, timeline)
            taken.append(timed)
            # Everything told to everybody before the next begins: each is measured on an idle system.
            await timeline.until(story.begins + timedelta(hours=1))
        after = cpu_seconds(stack)
        figures.requests[kind] = {
            "entries": taken[0].entries,
            "answered_seconds": statistics.median(timed.answered_seconds for timed in taken),
            "merged_seconds": statistics.median(timed.merged_seconds for timed in taken),
            "cpu_seconds": {name: round((after[name] - cpu[name]) / len(taken), 2) for name in after},
            "instruction_mb": next(p.rss_mb for p in stack.status() if p.name == "instruction"),
            "instruction_peak_mb": stack.peak_rss_mb()["instruction"],
        }
        say(f"{kind}: {figures.requests[kind]}")


async def roll_out(
    stack: Stack, client: Client, timeline: PacedTimeline, story: Story, figures: Figures, *, statements: bool
) -> None:
    """Everybody instructs as soon as capacity allows; the DCC decides; the clock runs until all are confirmed."""
    for party in map(PartyId, SUPPLIERS):
        for request in requests_of(party, timedelta(0), "instruct", "safe_launch", None, story.estate.hubs):
            await instruct(client, replace(request, key=f"asap-{request.key}"))
    pilot, run = story.decisions
    await timeline.until(story.begins + pilot.at)
    await decide(client, pilot)
    day = story.begins + run.at
    await timeline.until(day)
    admin = await asyncpg.connect(stack.postgres.dsn(DATABASE))
    try:
        if statements:
            await admin.execute("create extension if not exists pg_stat_statements")
            await admin.execute("select pg_stat_statements_reset()")
        before, cpu = await timeline.backlog.rows_written(), cpu_seconds(stack)
        confirmed_before, _ = await admin.fetchrow(_CONFIRMED)
        say("the DCC decides: run")
        begun = time.monotonic()
        await decide(client, replace(run, without_pilot="Everything is due at once."))
        await write_pace(admin, Pace(machine_now(), day, HOUR_A_SECOND, day + timedelta(days=50)))
        while time.monotonic() - begun < GIVEN_UP_AFTER and not await all_confirmed(admin):  # noqa: ASYNC110 - others work
            await asyncio.sleep(LOOK_EVERY)
        figures.seconds = round(time.monotonic() - begun, 2)
        confirmed, _ = await admin.fetchrow(_CONFIRMED)
        figures.confirmed = confirmed - confirmed_before
        figures.hubs_per_second = round(figures.confirmed / figures.seconds, 1)
        after = cpu_seconds(stack)
        figures.cpu_seconds = {name: round(after[name] - cpu[name], 1) for name in after}
        await asyncio.sleep(2)
        figures.writes_per_hub = round((await timeline.backlog.rows_written() - before) / figures.confirmed, 2)
        if statements:
            for row in await admin.fetch(_STATEMENTS):
                say(f"  {row['ms']:>7} ms {row['calls']:>7} calls {row['rows']:>8} rows  {row['query']}")
    finally:
        await admin.close()


async def all_confirmed(admin: Any) -> bool:
    """Whether every hub is; the whole ledger is read only when nothing seems left to do."""
    if await admin.fetchval(_OPEN):
        return False
    confirmed, total = await admin.fetchrow(_CONFIRMED)
    return bool(confirmed == total)


def cpu_seconds(stack: Stack) -> dict[str, float]:
    """Processor time of each process and its descendants so far."""
    taken = {}
    for process in stack.status():
        found = psutil.Process(process.pid)
        family = [found, *found.children(recursive=True)]
        taken[process.name] = sum(sum(one.cpu_times()[:2]) for one in family)
    return taken


def say(text: str) -> None:
    """Tell whoever watches."""
    print(text, flush=True)  # noqa: T201


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hubs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests-only", action="store_true", help="do not roll out")
    parser.add_argument("--statements", action="store_true", help="say where Postgres spent its time")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chfw-bench-") as place:
        Path(place).chmod(0o755)
        figures = asyncio.run(bench(arguments, StateDir(Path(place))))
    say(orjson.dumps(asdict(figures)).decode())


if __name__ == "__main__":
    main()
