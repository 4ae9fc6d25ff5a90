"""The story on real servers: six processes, real HTTP, real Kafka, real Postgres, a day a second."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import asyncpg
from rich.console import Console

from chfw_cli.demo.backlog import Backlog
from chfw_cli.demo.chaos import Chaos
from chfw_cli.demo.client import Client, over_network
from chfw_cli.demo.estate import draw_estate
from chfw_cli.demo.pacing import PacedTimeline, set_clock
from chfw_cli.demo.progress import progress_bar
from chfw_cli.demo.report import Report, Run, compose
from chfw_cli.demo.settings import environment
from chfw_cli.demo.story import Story, write_story
from chfw_cli.demo.tell import Say, seed, tell
from chfw_cli.demo.verify import verify
from chfw_cli.local.install import install
from chfw_cli.local.kafka import KafkaServer
from chfw_cli.local.postgres import PostgresServer
from chfw_cli.local.services import DATABASE
from chfw_cli.local.stack import Prepare, Stack
from chfw_cli.local.state import StateDir
from chfw_cli.tokens import Issuer
from chfw_common.kernel.instants import Instant
from chfw_common.topology import INSTRUCTION_RECEIVED


async def demonstrate(
    state: StateDir,
    *,
    hubs: int,
    seed_number: int,
    chaos: bool,
    say: Say,
    show: Callable[[Report], None],
    until_asked: asyncio.Event | None,
) -> Report:
    """Set up fresh servers, tell the story, reconcile. With `until_asked`, leave everything up until it is set."""
    begun = time.monotonic()
    story = write_story(draw_estate(seed_number, hubs))
    shutil.rmtree(state.root, ignore_errors=True)
    prepare = just_before(story.begins)
    async with Stack(state, clock="paced", prepare=prepare, extra_env=environment(seed_number)) as stack:
        setup = time.monotonic() - begun
        say(f"six services, Kafka and Postgres are up after {setup:.1f} s; logs in {state.logs}")
        async with _telling(stack, say) as say_above:
            report = await _tell_and_verify(stack, story, chaos=chaos, say=say_above, setup=setup)
        show(report)
        if until_asked is not None:
            say("\n".join(f"  {name:<12} {url}" for name, url in stack.urls.items()))
            say("everything stays up; Ctrl-C ends it")
            await until_asked.wait()
    return report


def just_before(begins: Instant) -> Prepare:
    """Install everything, and set the paced clock to stand still an hour before an instant."""

    async def prepare(postgres: PostgresServer, kafka: KafkaServer, place: StateDir) -> None:
        await install(postgres, kafka, place)
        admin = await asyncpg.connect(postgres.dsn(DATABASE))
        try:
            await set_clock(admin, begins - timedelta(hours=1))
        finally:
            await admin.close()

    return prepare


@contextlib.asynccontextmanager
async def _telling(stack: Stack, say: Say) -> AsyncIterator[Say]:
    """A progress bar on a terminal, plain lines elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield say
        return
    async with progress_bar(stack.postgres.dsn(DATABASE), console) as say_above:
        yield say_above


async def _tell_and_verify(stack: Stack, story: Story, *, chaos: bool, say: Say, setup: float) -> Report:
    begun = time.monotonic()
    dsn = stack.postgres.dsn(DATABASE)
    backlog = Backlog(dsn, stack.kafka_access)
    client = Client(over_network(stack.urls, stack.operator_urls), Issuer.open(stack.state.keys))
    monkey = Chaos(stack, dsn, story.begins)
    killing = asyncio.create_task(monkey.run()) if chaos else None
    try:
        await seed(client, story)
        say(f"day   0  {len(story.estate.hubs):,} hubs loaded into the inventory and the simulated network")
        told = await tell(client, story, PacedTimeline(backlog), say)
        if killing is not None:
            await killing
        story_seconds = time.monotonic() - begun
        unconsumed = await backlog.unread("scheduler", INSTRUCTION_RECEIVED)
        admin = await asyncpg.connect(dsn)
        try:
            verdict = await verify(client, admin, story, told, signed_in=stack.state)
        finally:
            await admin.close()
    finally:
        if killing is not None:
            killing.cancel()
        await client.close()
        await backlog.close()
    run = Run(
        setup_seconds=setup,
        story_seconds=story_seconds,
        peak_rss_mb=stack.peak_rss_mb(),
        unconsumed=unconsumed,
        kills=monkey.kills,
        idle_kills=monkey.empty,
    )
    return compose(story, told, verdict, run)
